#!/usr/bin/env bash
# The calls of the vendor's pages, made with curl as these pages make them. Prints each call with its status.
set -euo pipefail

at=$BASE/$ORG/$APP
json='Content-Type: application/json'
accept='Accept: application/json'
boundary='Content-Type: multipart/form-data; boundary=---WebKitFormBoundary7MA4YWxkTrZu0gW'

# Calls with the options that follow the name, and keeps the answer in a file of that name.
call() {
  local name=$1
  shift
  echo "$name $(curl -s -o "$OUT/$name" -w '%{http_code}' "$@")"
}

# Prints a field of an answer that is text.
field() {
  sed -E "s,.*\"$2\":\"([^\"]*)\".*,\1," "$OUT/$1"
}

credentials="{\"grant_type\": \"client_credentials\", \"client_id\": \"$CLIENT_ID\", \"client_secret\": \"$CLIENT_SECRET\", \"ttl\": 3600}"
call token -X POST "$at/token" -H "$json" -H "$accept" -d "$credentials"
call token-untyped -X POST "$at/token" -H 'Content-Type:' -d "$credentials"
call token-of-default-type -X POST "$at/token" -d "$credentials"
call token-of-form -X POST "$at/token" -d grant_type=client_credentials -d "client_id=$CLIENT_ID" -d "client_secret=$CLIENT_SECRET"
call token-without-end -X POST "$at/token" -H "$json" -d "${credentials/3600/0}"
bearer="Authorization: Bearer $(field token access_token)"

call upload -X POST "$at/chatfiles" -H "$bearer" -H "$boundary" -H 'restrict-access: true' -F "file=@$IMAGE"
call upload-of-one-boundary -X POST "$at/chatfiles" -H "$bearer" -H 'thumbnail-width: 100' -F "file=@$IMAGE"
# With `--strict` only the second upload is taken.
uploaded=upload
grep -q share-secret "$OUT/upload" || uploaded=upload-of-one-boundary
uuid=$(field $uploaded uuid)
secret=$(field $uploaded share-secret)
file=$at/chatfiles/$uuid
call download -X GET -H 'Accept: application/octet-stream' -H "$bearer" -H "share-secret: $secret" "$file"
call download-by-query -X GET -H "$bearer" "$file?share-secret=$secret"
call thumbnail -X GET -H 'Accept: application/octet-stream' -H "$bearer" -H "share-secret: $secret" -H 'thumbnail: true' "$file"

send() {
  call "$1" -X POST -i "$at/messages/chatgroups" -H "$json" -H "$accept" -H "$bearer" -d "$2"
}
send txt '{
    "from": "user1",
    "to": ["'"$GROUP"'"],
    "type": "txt",
    "need_group_ack": false,
    "body": {
        "msg": "from curl"
    },
    "roam_ignore_users": [],
    "ext": {
       "em_ignore_notification": true
    },
    "routetype": "ROUTE_ONLINE"
}'
send img '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "img",
    "body": { "filename": "a.png", "secret": "'"$secret"'", "url": "'"$file"'", "size": { "width": 400, "height": 200 } } }'
send audio '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "audio",
    "body": { "url": "'"$file"'", "filename": "a.amr", "length": 10, "secret": "'"$secret"'" } }'
send video '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "video",
    "body": { "filename": "a.avi", "thumb": "'"$file"'", "length": 0, "secret": "'"$secret"'", "file_length": 58103,
        "thumb_secret": "'"$secret"'", "url": "'"$file"'" } }'
# The page's own example lacks a comma at this place.
send video-without-comma '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "video",
    "body": { "filename": "b.avi"
        "thumb": "'"$file"'", "length": 0, "url": "'"$file"'" } }'
send file '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "file",
    "body": { "filename": "a.txt", "secret": "'"$secret"'", "url": "'"$file"'" } }'
send loc '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "loc", "body": { "lat": "39.966", "lng": "116.322", "addr": "北京" } }'
send cmd '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "cmd", "body": { "action": "reload" } }'
send custom '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "custom",
    "body": { "customEvent": "custom_event", "customExts": { "ext_key1": "ext_value1" } } }'
call targeted -X POST -i "$at/messages/chatgroups/users" -H "$json" -H "$accept" -H "$bearer" \
  -d '{ "from": "user1", "to": ["'"$GROUP"'"], "type": "txt", "body": { "msg": "for two" }, "users": ["user2", "user3"] }'
call users -X POST -i "$at/messages/users" -H "$json" -H "$accept" -H "$bearer" \
  -d '{ "from": "user1", "to": ["user2"], "type": "txt", "body": { "msg": "for one" }, "sync_device": true }'
call rooms -X POST -i "$at/messages/chatrooms" -H "$json" -H "$accept" -H "$bearer" \
  -d '{ "from": "user1", "to": ["185145305923585"], "type": "txt", "body": { "msg": "for a room" }, "chatroom_msg_level": "high" }'
# Without `-H`, curl names the type of a form.
call old-call -X POST -H "$bearer" "$at/messages?useMsgId=true" \
  -d '{ "from": "user1", "target_type": "users", "target": ["user3"], "msg": { "msg": "the old way", "type": "txt" } }'

call groups -X GET "$at/chatgroups?limit=2" -H "$accept" -H "$bearer"
call next-groups -X GET "$at/chatgroups?limit=2&cursor=$(field groups cursor)" -H "$accept" -H "$bearer"
call members -X GET "$at/chatgroups/$GROUP/users?pagenum=1&pagesize=2" -H "$accept" -H "$bearer"
call members-by-cursor -X GET "$at/chatgroups/$GROUP/users?version=v3&limit=2" -H "$accept" -H "$bearer"
for sent in txt img; do
  tail -n 1 "$OUT/$sent" >"$OUT/$sent-answer"
done
call recall -X POST "$at/messages/batch_recall" -H "$json" -H "$accept" -H "$bearer" \
  -d '{ "msgs": [{ "msg_id": "'"$(field txt-answer "$GROUP")"'", "to": "'"$GROUP"'", "chat_type": "groupchat", "force": true }] }'
call recall-of-one -X POST "$at/messages/msg_recall" -H "$json" -H "$accept" -H "$bearer" \
  -d '{ "msg_id": "'"$(field img-answer "$GROUP")"'", "to": "'"$GROUP"'", "from": "user1", "chat_type": "groupchat", "force": true }'
