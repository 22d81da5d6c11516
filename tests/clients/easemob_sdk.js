// The npm package `easemob-sdk`, unchanged but for the address. Prints each call with its status.
const fs = require('fs')
const sdk = require('easemob-sdk')
const { BASE, ORG, APP, CLIENT_ID, CLIENT_SECRET, GROUP, IMAGE, OUT } = process.env

require('easemob-sdk/lib/const').BASE_URL = `${BASE}/`
sdk.init(ORG, APP, CLIENT_ID, CLIENT_SECRET)

const call = (name, method, ...args) => new Promise((resolve, reject) => {
  method(...args, (error, response, body) => {
    if (error) return reject(error)
    console.log(name, response.statusCode)
    resolve(body)
  })
})
const saved = (name, method, file, ...args) => new Promise(resolve => {
  method(`${OUT}/${file}`, ...args, () => {
    console.log(name, fs.statSync(`${OUT}/${file}`).size > 0 ? 'saved' : 'empty')
    resolve()
  })
})

const main = async () => {
  const { access_token: token } = await new Promise((resolve, reject) => {
    sdk.get_token((error, granted) => (error ? reject(error) : resolve(granted)))
  })
  console.log('token', token.length > 0 ? 'granted' : 'empty')

  const page = await call('groups', sdk.group.display_page_group, 2, '', token)
  console.log('groups:', page.data.map(group => group.groupid).join(' '))
  const next = await call('groups', sdk.group.display_page_group, 2, page.cursor, token)
  console.log('groups:', next.data.map(group => group.groupid).join(' '))
  await call('all groups', sdk.group.display_group, token)
  const members = await call('members', sdk.group.get_member_group, GROUP, token)
  console.log('members:', members.data.map(member => Object.entries(member).flat().join(' ')).join(', '))

  const details = await call('details', sdk.group.display_group_detail, [GROUP, page.data[1].groupid], token)
  console.log('details:', details.data.map(group => `${group.id} ${group.name}`).join(', '))

  const uploaded = JSON.parse(await call('upload', sdk.file.upload, { file: fs.createReadStream(IMAGE) }, true, token))
  const { uuid, 'share-secret': secret } = uploaded.entities[0]
  await saved('download', sdk.file.download, 'image', secret, uuid, token)
  await saved('thumbnail', sdk.file.download_thumbnail, 'thumbnail', secret, uuid, token)

  const url = `${uploaded.uri}/${uuid}`
  const messages = {
    send_txt: { type: 'txt', msg: 'hello' },
    send_img: { type: 'img', url, filename: 'a.png', secret, size: { width: 400, height: 200 } },
    send_audio: { type: 'audio', url, filename: 'a.amr', length: 10, secret },
    send_video: { type: 'video', url, filename: 'a.mp4', length: 10, secret, file_length: 58103, thumb: url, thumb_secret: secret },
    send_through: { type: 'cmd', action: 'reload' },
  }
  for (const [name, msg] of Object.entries(messages)) {
    const message = { target_type: 'chatgroups', target: [GROUP], msg, from: 'user1', ext: { by: 'easemob-sdk' } }
    const sent = await call(name, sdk.message[name], message, token)
    console.log(`${name}:`, JSON.stringify(sent.data))
  }
  const message = { target_type: 'users', target: ['user2', 'user3'], msg: { type: 'txt', msg: 'hello' } }
  const sent = await call('to users', sdk.message.send_txt, message, token)
  console.log('to users:', JSON.stringify(sent.data))
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
