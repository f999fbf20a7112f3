import { randomUUID } from 'node:crypto';
import {
  type Admin,
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  type Producer,
  ResourcePatternTypes,
} from 'kafkajs';
import { pino } from 'pino';
import { cloudEvent } from '../../activities/buses/cloud-event';
import { acknowledgedByAll, createKafka, createProducer, kafkaConfig } from '../../activities/buses/kafka';
import { type FeedEvent, type PlanFeed, startPlanFeed } from '../../services/project-manager/plan-feed';
import { topics } from '../../workflows/contracts/messages';
import { eventually } from '../support/project-manager';
import { identityEnvironment } from '../support/stack';

describe('the feed of plan changes', () => {
  const planId = `feed-${randomUUID()}`;
  const clientId = `test-${randomUUID()}`;
  let admin: Admin;
  let producer: Producer;
  let feed: PlanFeed;

  beforeAll(async () => {
    const kafka = createKafka(kafkaConfig.parse(identityEnvironment('admin')), 'test');
    [admin, producer] = [kafka.admin(), createProducer(kafka)];
    await Promise.all([admin.connect(), producer.connect()]);
    const config = kafkaConfig.parse(identityEnvironment('project-manager'));
    feed = startPlanFeed(createKafka(config, clientId), pino({ level: 'silent' }));
  });
  afterAll(async () => {
    await feed.close();
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  });

  const change = async (cursor: number): Promise<void> => {
    const data = { planId, cursor, at: '2026-01-01T00:00:00Z', tasks: [], attempts: [] };
    const event = cloudEvent('planChanged', { source: 'test', id: `${planId}/${cursor}`, data });
    await producer.send({
      topic: topics.plans,
      acks: acknowledgedByAll,
      messages: [{ key: planId, value: JSON.stringify(event) }],
    });
  };
  /** Groups have random names; this one's member is known by its client. */
  const groupOfFeed = async (): Promise<string> => {
    const { groups } = await admin.listGroups();
    const own = groups.flatMap(({ groupId }) => (groupId.startsWith('project-manager.') ? [groupId] : []));
    const described = await admin.describeGroups(own);
    return described.groups.find(({ members }) => members.some((one) => one.clientId === clientId))?.groupId ?? '';
  };
  const isUp = (): Promise<boolean> =>
    feed.ping().then(
      () => true,
      () => false,
    );

  it('is read again after Kafka refused it, though its client took that for the end', async () => {
    await eventually(isUp, Boolean);
    const heard: FeedEvent[] = [];
    feed.subscribe(planId, (event) => heard.push(event));
    const cursors = (): Promise<number[]> =>
      Promise.resolve(heard.flatMap((event) => (event.kind === 'change' ? [event.change.cursor] : [])));
    await change(1);
    await eventually(cursors, (list) => list.includes(1));

    const refusal = {
      resourceType: AclResourceTypes.GROUP,
      resourceName: await groupOfFeed(),
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:project-manager',
      host: '*',
      operation: AclOperationTypes.READ,
      permissionType: AclPermissionTypes.DENY,
    };
    await admin.createAcls({ acl: [refusal] });
    await eventually(isUp, (up) => !up);
    expect(feed.isRead()).toBe(false);
    await eventually(
      () => Promise.resolve(heard.map(({ kind }) => kind)),
      (kinds) => kinds.includes('unread'),
    );
    await change(2);
    await admin.deleteAcls({ filters: [refusal] });

    // What was published meanwhile is read as well: the group goes on where it stopped.
    await eventually(cursors, (list) => list.includes(2));
    await eventually(isUp, Boolean);
    expect(heard.at(-1)).toEqual({ kind: 'gap' });
    await change(3);
    await eventually(cursors, (list) => list.includes(3));
    expect(await cursors()).toEqual([1, 2, 3]);
  }, 60_000);
});
