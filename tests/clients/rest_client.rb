# The Ruby gem `rest-client`, as Debian packages it. Prints each call with its status.

require "json"
require "rest-client"

group, image = ENV.fetch("GROUP"), ENV.fetch("IMAGE")
app = RestClient::Resource.new("#{ENV.fetch("BASE")}/#{ENV.fetch("ORG")}/#{ENV.fetch("APP")}")

# Makes a call, prints its status, and returns the answer.
def call(name)
  answer = yield
  puts "#{name} #{answer.code}"
  answer
rescue RestClient::ExceptionWithResponse => refused
  puts "#{name} #{refused.http_code}"
  refused.response
end

login = { grant_type: "client_credentials", client_id: ENV.fetch("CLIENT_ID"), client_secret: ENV.fetch("CLIENT_SECRET") }
token = JSON.parse(call("token") { app["token"].post(login.to_json, content_type: :json) })["access_token"]
bearer = { Authorization: "Bearer #{token}" }
json = bearer.merge(content_type: :json, accept: :json)

page = JSON.parse(call("groups") { app["chatgroups"].get(bearer.merge(params: { limit: 2 })) })
puts "groups: #{page["data"].map { |one| one["groupid"] }.join(" ")}"
page = JSON.parse(call("next groups") { app["chatgroups"].get(bearer.merge(params: { limit: 2, cursor: page["cursor"] })) })
puts "next groups: #{page["data"].map { |one| one["groupid"] }.join(" ")}"

media = { file: File.new(image, "rb") }
uploaded = call("upload") { app["chatfiles"].post(media, bearer.merge("restrict-access": true)) }
entity = JSON.parse(uploaded)["entities"][0]
secret = entity["share-secret"]
file = app["chatfiles/#{entity["uuid"]}"]
got = call("download") { file.get(bearer.merge("share-secret": secret, accept: "application/octet-stream")) }
puts "downloaded #{got.body.b == File.binread(image) ? "whole" : "another file"}"
call("download without its secret") { file.get(bearer) }

at = file.url
messages = [
  ["txt", { msg: "hello" }],
  ["img", { filename: "a.png", url: at, secret: secret, size: { width: 400, height: 200 } }],
  ["audio", { filename: "a.amr", url: at, secret: secret, length: 10 }],
  ["video", { filename: "a.mp4", url: at, secret: secret, length: 10, file_length: 58_103, thumb: at, thumb_secret: secret }],
  ["file", { filename: "a.txt", url: at, secret: secret }],
  ["loc", { lat: 39.966, lng: 116.322, addr: "北京" }],
  ["cmd", { action: "reload" }],
  ["custom", { customEvent: "ticket", customExts: { gate: "4" } }],
]
sent = messages.map do |type, body|
  message = { from: "user1", to: [group], type: type, body: body, ext: { by: "rest-client" } }
  call(type) { app["messages/chatgroups"].post(message.to_json, json) }
end
targeted = { from: "user1", to: [group], users: %w[user2 user3], type: "txt", body: { msg: "for two" } }
call("targeted") { app["messages/chatgroups/users"].post(targeted.to_json, json) }
to_users = { from: "user1", to: %w[user2], type: "txt", body: { msg: "for one" } }
call("users") { app["messages/users"].post(to_users.to_json, json) }
recall = { msgs: [{ msg_id: JSON.parse(sent[0])["data"][group], to: group, chat_type: "groupchat", force: true }] }
call("recall") { app["messages/batch_recall"].post(recall.to_json, json) }
call("wrong token") { app["chatgroups"].get(Authorization: "Bearer wrong") }
