"""An agent without any SDK: plain pika over TLS. It registers, sends signs of life, takes tasks and reports, all by
CloudEvents on RabbitMQ. Environment: AATS_RABBITMQ_URL, AATS_RABBITMQ_PASSWORD_FILE, AATS_SERVERS_CA_FILE, AATS_AGENT_ID."""

import json
import os
import ssl
import threading
import time
import uuid
from datetime import datetime, timezone
from urllib.parse import urlsplit

import pika

AGENT = os.environ.get("AATS_AGENT_ID", "python-1")
CAPABILITY = "count-words"
QUEUE = f"agent.tasks.{CAPABILITY}"
running = {}


def connect():
    url = urlsplit(os.environ["AATS_RABBITMQ_URL"])
    with open(os.environ["AATS_RABBITMQ_PASSWORD_FILE"], encoding="utf8") as file:
        password = file.read().strip()
    context = ssl.create_default_context(cafile=os.environ["AATS_SERVERS_CA_FILE"])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host=url.hostname,
            port=url.port,
            virtual_host=url.path.lstrip("/"),
            credentials=pika.PlainCredentials(url.username, password),
            ssl_options=pika.SSLOptions(context, url.hostname),
            heartbeat=30,
        )
    )


def send(channel, kind, data):
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": f"aats/agent/{AGENT}", "type": kind, "time": now,
             "datacontenttype": "application/json", "data": data}
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    channel.basic_publish("agent.topic", "responses.python", json.dumps(event), properties)


def report(channel, task, **more):
    base = {key: task[key] for key in ("planId", "taskId", "attempt")}
    send(channel, "ai.aats.task.reported.v1", {**base, "agent": AGENT, "at": datetime.now(timezone.utc).isoformat(), **more})


def keep_alive():
    """Its own connection, since pika's are for one thread each."""
    channel = connect().channel()
    while True:
        attempts = [{**key, "heartbeatMs": ms} for key, ms in list(running.values())]
        send(channel, "ai.aats.agent.heartbeat.v1", {"agentId": AGENT, "running": attempts})
        time.sleep(1)


def on_task(channel, method, _properties, body):
    task = json.loads(body)["data"]
    key = {name: task[name] for name in ("planId", "taskId", "attempt")}
    running[str(key)] = (key, task["heartbeatMs"])
    report(channel, task, kind="started", heartbeatMs=task["heartbeatMs"])
    channel.basic_ack(method.delivery_tag)
    try:
        report(channel, task, kind="succeeded", output={"words": len(str(task["arguments"]["text"]).split())})
    except KeyError as missing:
        failure = {"type": "InvalidInput", "message": f"the argument {missing} is missing"}
        report(channel, task, kind="failed", failure=failure, retryable=False)
    finally:
        running.pop(str(key), None)


def main():
    channel = connect().channel()
    channel.basic_qos(prefetch_count=4)
    while True:
        send(channel, "ai.aats.agent.registered.v1", {"agentId": AGENT, "transport": "rabbitmq", "capacity": 4, "capabilities": [
            {"name": CAPABILITY, "description": "Counts the words of a text"}]})
        try:
            channel.queue_declare(QUEUE, passive=True)  # the coordinator makes it when the agent registers
            break
        except pika.exceptions.ChannelClosedByBroker:
            channel = connect().channel()
            time.sleep(0.5)
    threading.Thread(target=keep_alive, daemon=True).start()
    channel.basic_consume(QUEUE, on_task)
    channel.start_consuming()


if __name__ == "__main__":
    main()
