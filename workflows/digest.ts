import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import canonicalize from 'canonicalize';
import type { ApprovalRequest } from './contracts/approval';
import type { Json } from './contracts/json';

/** `sha256:<hex>` over the canonical form of a JSON value (RFC 8785); runs in the workflow sandbox too. */
export function digestOf(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) throw new Error('only JSON values have a digest');
  return `sha256:${bytesToHex(sha256(utf8ToBytes(text)))}`;
}

/** What a person is shown and decides about; who asked and when is not part of it, so asking again gives the same. */
export const approvalDigest = ({
  approvalId,
  at,
  title,
  message,
  subject,
  show,
  editable,
  by,
  excluded,
  capability,
}: Omit<ApprovalRequest, 'digest'>): string =>
  digestOf({ approvalId, at, title, message: message ?? null, subject, show, editable, by, excluded, capability });
