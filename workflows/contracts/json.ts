/** A JSON value (RFC 8259), as it travels in payloads, messages and documents. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;
/** A JSON Schema (2020-12) of the closed keyword list in docs/plans.md. */
export type JsonSchema = JsonObject;

const utf8 = new TextEncoder();
/** How many bytes a value has as JSON: characters would be a third of that in some scripts. */
export const jsonBytes = (value: Json): number => utf8.encode(JSON.stringify(value)).length;

/** A result that lives in the artifact store; plans, messages and histories carry only this (claim check). */
export interface ArtifactReference {
  /** `sha256:<64 hex>` of the content. */
  readonly artifact: string;
  readonly name: string;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
}
