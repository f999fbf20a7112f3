import type { Json, JsonObject, JsonSchema } from './json';
import type { Who } from './people';

/** A plan as it runs: checked, every default written out, so that a later release changes no running plan. */
export interface PlanDefinition {
  readonly name: string;
  readonly title: string;
  readonly description?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, JsonSchema>>;
  readonly tasks: readonly TaskDefinition[];
  /** Value with expressions. */
  readonly result: Json;
  readonly deadlineMs?: number;
  /** Tasks under way at once. */
  readonly maxParallel?: number;
}

export interface TaskDefinition {
  readonly id: string;
  /** Text with expressions. */
  readonly title: string;
  readonly capability: string;
  readonly with: JsonObject;
  readonly needs: readonly string[];
  readonly after: readonly string[];
  /** One expression. */
  readonly when?: string;
  readonly forEach?: ForEachDefinition;
  readonly output?: JsonSchema;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly deadlineMs?: number;
  readonly retry: RetryPolicy;
  readonly onFailure: 'fail' | 'continue';
  readonly compensation?: CompensationDefinition;
  readonly secrets: Readonly<Record<string, string>>;
  readonly approval?: ApprovalDefinition;
}

export interface ForEachDefinition {
  readonly in: string;
  readonly maxParallel?: number;
  readonly maxItems: number;
  readonly maxFailurePercent: number;
}

/** Temporal's words. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maxIntervalMs: number;
  readonly nonRetryable: readonly string[];
}

export interface CompensationDefinition {
  readonly capability: string;
  readonly with: JsonObject;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly retry: RetryPolicy;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface ApprovalDefinition {
  readonly at: 'before' | 'after';
  readonly title?: string;
  readonly message?: string;
  readonly show: readonly { readonly title: string; readonly value: Json }[];
  readonly by: readonly Who[];
  readonly expiresInMs: number;
  readonly onExpiry: 'reject' | 'pause';
  readonly editable: readonly { readonly path: string; readonly schema: JsonSchema }[];
  readonly fourEyes: boolean;
  readonly reasonRequired: boolean;
}
