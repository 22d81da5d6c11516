// The vendor's npm package `agora-token` makes tokens of an app. Each is used directly, and exchanged.
const { ChatTokenBuilder } = require('agora-token')
const { AccessToken2, ServiceChat, ServiceRtc, ServiceRtm } = require('agora-token/src/AccessToken2')
const { BASE, APP_ID, APP_CERTIFICATE } = process.env

const at = `${BASE}/app-id/${APP_ID}`
const status = async (name, path, token, body) => {
  const headers = { Authorization: `Bearer ${token}` }
  const response = await fetch(`${at}${path}`, { method: body ? 'POST' : 'GET', headers, body })
  console.log(name, response.status)
  return response.json()
}

// A token for calls, signalling and chat in one.
const several = certificate => {
  const token = new AccessToken2(APP_ID, certificate, 0, 3600)
  const chat = new ServiceChat()
  chat.add_privilege(ServiceChat.kPrivilegeApp, 3600)
  const rtc = new ServiceRtc('channel', 'user1')
  rtc.add_privilege(ServiceRtc.kPrivilegeJoinChannel, 3600)
  const rtm = new ServiceRtm('user1')
  rtm.add_privilege(ServiceRtm.kPrivilegeLogin, 3600)
  for (const service of [chat, rtc, rtm]) token.add_service(service)
  return token.build()
}

const tokens = {
  app: ChatTokenBuilder.buildAppToken(APP_ID, APP_CERTIFICATE, 3600),
  several: several(APP_CERTIFICATE),
  user: ChatTokenBuilder.buildUserToken(APP_ID, APP_CERTIFICATE, 'user1', 3600),
  forged: several('0'.repeat(32)),
}
const main = async () => {
  for (const [name, token] of Object.entries(tokens)) {
    await status(`${name} used`, '/chatgroups', token)
    const granted = await status(`${name} exchanged`, '/token', token, '{"grant_type":"agora"}')
    if (granted.access_token) await status(`${name} granted`, '/chatgroups', granted.access_token)
  }
}
main()
