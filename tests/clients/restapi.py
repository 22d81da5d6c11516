"""The PyPI package `ease-restapi`, unchanged but for the address. Prints each call with its result.

Its `upload_media` and `download_thumbnail` fail before they send anything: they give a header a value that is no text, which
no `requests` of the last ten years takes. So the file is uploaded with `requests`, by the token of the package.
"""

import os

import requests

from ease_restapi import config

config.HOST_SERVER = os.environ["BASE"]
config.APP_ORG = os.environ["ORG"]
config.APP_NAME = os.environ["APP"]
config.DIR_DOWNLOAD_FILES = ""

from ease_restapi import service

group, image = os.environ["GROUP"], os.environ["IMAGE"]
os.chdir(os.environ["OUT"])
auth = service.AppClientAuth(os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])


def call(name, result):
    done, answer = result
    print(name, "ok" if done else answer)
    return answer


print("token", "granted" if auth.get_token() else "empty")
page = call("groups", service.pickup_groups(auth))
print("groups:", len(page["data"]), page["data"][0]["groupid"])
members = call("members", service.pickup_group_users(auth, group))
print("members:", *(f"{role} {user}" for member in members["data"] for role, user in member.items()))
details = call("details", service.details_group(auth, group))
print("details:", details["data"][0]["name"])

with open(image, "rb") as file:
    url = f"{config.HOST_SERVER}/{config.APP_ORG}/{config.APP_NAME}/chatfiles"
    uploaded = requests.post(url, files={"file": file}, headers={"restrict-access": "True"}, auth=auth)
print("upload", uploaded.status_code)
entity = uploaded.json()["entities"][0]
uuid, secret = entity["uuid"], entity["share-secret"]
print("download", service.download_media(auth, uuid, secret))
with open(f"download/{uuid}", "rb") as got, open(image, "rb") as file:
    print("downloaded", "whole" if got.read() == file.read() else "another file")

url = f"{url}/{uuid}"
to = {"target": [group], "target_type": "chatgroups", "username": "user1", "by": "ease-restapi"}
messages = [
    ("txt", service.send_txt_message, service.MessageTxtData("hello", **to)),
    ("img", service.send_img_message, service.MessageImgData(url, "a.png", secret, **to)),
    ("audio", service.send_audio_message, service.MessageAudioData(url, "a.amr", 10, secret, **to)),
    ("video", service.send_video_message, service.MessageVideoData("a.mp4", url, 10, secret, 58103, secret, url, **to)),
    ("cmd", service.send_transmission_message, service.MessageTransmissionData("reload", **to)),
]
for kind, send, message in messages:
    print(f"{kind}:", call(kind, send(auth, message()))["data"])
to_users = service.build_message_data("hello", ["user2", "user3"])
print("users:", call("users", service.send_txt_message(auth, to_users))["data"])
