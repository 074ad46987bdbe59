"""One question over Home Assistant's WebSocket API, run by Home Assistant's own Python, which has aiohttp.

usage: python hub_socket.py URL TOKEN QUESTION   (the question and the printed result are JSON)
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp


async def ask(url: str, token: str, question: dict[str, Any]) -> Any:
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": token})
        if (await socket.receive_json())["type"] != "auth_ok":
            raise SystemExit("the token was refused")
        await socket.send_json({"id": 1, **question})
        answer = await socket.receive_json()
        if not answer["success"]:
            raise SystemExit(json.dumps(answer["error"]))
        return answer["result"]


sys.stdout.write(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))))
