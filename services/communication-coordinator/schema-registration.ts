import { type EventName, messageSchemas } from '../../activities/buses/message-schemas';
import { eventTypes } from '../../workflows/contracts/messages';

/** Puts the schemas of our messages into the registry, one subject an event type; the same schema again changes nothing. */
export async function registerSchemas(registryUrl: string): Promise<number> {
  const names = Object.keys(messageSchemas) as EventName[];
  for (const name of names) {
    const response = await fetch(`${registryUrl}/subjects/${encodeURIComponent(eventTypes[name])}/versions`, {
      method: 'POST',
      signal: AbortSignal.timeout(5000),
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({
        schemaType: 'JSON',
        schema: JSON.stringify({
          $schema: 'https://json-schema.org/draft/2020-12/schema',
          title: eventTypes[name],
          ...messageSchemas[name],
        }),
      }),
    });
    if (!response.ok)
      throw new Error(
        `the schema registry refused ${eventTypes[name]}: ${response.status} ${(await response.text()).slice(0, 300)}`,
      );
  }
  return names.length;
}
