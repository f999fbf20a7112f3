import type { Pool } from 'pg';
import type { Json, JsonObject } from '../../workflows/contracts/json';
import { answering } from './answering';

export interface KeptDefinition {
  readonly planId: string;
  readonly name: string;
  readonly contentDigest: string;
  /** As its author wrote it. */
  readonly source: Json;
  readonly inputs: JsonObject;
  readonly owner: string;
  /** RFC 3339. */
  readonly startedAt: string;
}
export interface PlanStore {
  /** Keeps the first definition given for a plan id; a repeated start keeps it. Throws StoreUnavailable. */
  keep(definition: KeptDefinition): Promise<void>;
  ping(): Promise<unknown>;
}

export function createPlanStore(pool: Pool): PlanStore {
  return answering<PlanStore>('PostgreSQL', {
    async keep({ planId, name, contentDigest, source, inputs, owner, startedAt }) {
      await pool.query({
        name: 'plan-keep-definition',
        text: `insert into plans.definition (plan_id, name, content_digest, source, inputs, owner, started_at)
               values ($1, $2, $3, $4, $5, $6, $7) on conflict (plan_id) do nothing`,
        values: [planId, name, contentDigest, JSON.stringify(source), JSON.stringify(inputs), owner, startedAt],
      });
    },
    ping: () => pool.query('select 1'),
  });
}
