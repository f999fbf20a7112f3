"""An agent without any SDK: plain pika over TLS. It registers, sends signs of life, takes tasks and reports, all by
CloudEvents on RabbitMQ. Environment: AATS_RABBITMQ_URL, AATS_RABBITMQ_PASSWORD_FILE, AATS_SERVERS_CA_FILE, AATS_AGENT_ID."""

import json
import os
import ssl
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

import pika

AGENT = os.environ.get("AATS_AGENT_ID", "python-1")
CAPABILITY = "count-words"
REGISTRATION = {"agentId": AGENT, "instance": str(uuid.uuid4()), "transport": "rabbitmq", "capacity": 4,
                "capabilities": [{"name": CAPABILITY, "description": "Counts the words of a text"}]}
running = {}


def connect():
    url = urlsplit(os.environ["AATS_RABBITMQ_URL"])
    with open(os.environ["AATS_RABBITMQ_PASSWORD_FILE"], encoding="utf8") as file:
        credentials = pika.PlainCredentials(url.username, file.read().strip())
    context = ssl.create_default_context(cafile=os.environ["AATS_SERVERS_CA_FILE"])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return pika.BlockingConnection(pika.ConnectionParameters(
        url.hostname, url.port, url.path.lstrip("/"), credentials, heartbeat=10,
        ssl_options=pika.SSLOptions(context, url.hostname)))


def for_ever(work):
    """Works on a connection of its own, and on a new one when the broker goes away: what was not acknowledged comes again."""
    while True:
        try:
            with connect() as connection:
                channel = connection.channel()
                channel.confirm_delivery()  # a report has left once the broker says so
                work(connection, channel)
        except (pika.exceptions.AMQPError, OSError) as error:
            print(f"{work.__name__} begins again: {error!r}", file=sys.stderr, flush=True)
            time.sleep(1)


def send(channel, kind, data):
    event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": f"aats/agent/{AGENT}", "type": kind,
             "datacontenttype": "application/json", "data": data}
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    channel.basic_publish("agent.topic", "responses.python", json.dumps(event), properties)


def keep_alive(connection, channel):
    while True:
        # Who it is, said again every ten beats: nobody tells an agent on the bus that it was forgotten.
        send(channel, "ai.aats.agent.registered.v1", REGISTRATION)
        for _ in range(10):
            send(channel, "ai.aats.agent.heartbeat.v1", {"agentId": AGENT, "running": list(running.values())})
            connection.sleep(0.5)


def on_task(channel, method, _properties, body):
    task = json.loads(body)["data"]
    key = {name: task[name] for name in ("planId", "taskId", "attempt")}

    def report(**more):
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        send(channel, "ai.aats.task.reported.v1", {**key, "agent": AGENT, "at": at, **more})

    running[str(key)] = {**key, "heartbeatMs": task["heartbeatMs"]}
    try:
        report(kind="started", heartbeatMs=task["heartbeatMs"])
        channel.basic_ack(method.delivery_tag)
        report(kind="succeeded", output={"words": len(str(task["arguments"]["text"]).split())})
    except KeyError as missing:
        report(kind="failed", retryable=False, failure={"type": "InvalidInput", "message": f"{missing} is missing"})
    finally:
        running.pop(str(key), None)


def on_notice(_channel, _method, _properties, body):
    if json.loads(body)["data"].get("agentId") == AGENT:
        sys.exit()  # it is to take nothing new, and between two tasks nothing runs


def take_tasks(_connection, channel):
    channel.basic_qos(prefetch_count=4)
    inbox = channel.queue_declare(f"agent.inbox.{uuid.uuid4()}", exclusive=True).method.queue
    channel.queue_bind(inbox, "agent.fanout")
    channel.basic_consume(inbox, on_notice, auto_ack=True)
    # The coordinator makes the queue when the agent registers; until then this fails and begins again.
    channel.basic_consume(f"agent.tasks.{CAPABILITY}", on_task)
    channel.start_consuming()


if __name__ == "__main__":
    threading.Thread(target=for_ever, args=(keep_alive,), daemon=True).start()
    for_ever(take_tasks)
