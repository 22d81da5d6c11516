// The vendor's package `agora-token`. Each line of JSON that comes in is answered with one.
const { AccessToken2, ServiceChat } = require('agora-token/src/AccessToken2')

const build = ({ app_id, certificate, issued_at, expire, salt }) => {
  const token = new AccessToken2(app_id, certificate, issued_at, expire)
  token.salt = salt
  const chat = new ServiceChat()
  chat.add_privilege(ServiceChat.kPrivilegeApp, expire)
  token.add_service(chat)
  return { token: token.build() }
}

const read = ({ token, certificate }) => {
  const read = new AccessToken2()
  const parsed = read.from_string(token)
  const chat = read.getServices(5)[0]
  return {
    valid: parsed && read.verifySignature(certificate) && read.services.length === 1 && chat.__user_id.length === 0,
    app_id: read.appId.toString(),
    issued_at: read.issueTs,
    expire: read.expire,
    salt: read.salt,
    privileges: chat && chat.__privileges,
  }
}

require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const asked = JSON.parse(line)
  console.log(JSON.stringify(asked.token ? read(asked) : build(asked)))
})
