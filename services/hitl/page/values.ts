import type { ArtifactReference, Json, JsonObject } from '../../../workflows/contracts/json';
import { foreign, markup, type Html } from './html';
import { bytes, capital, duration } from './words';

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A single value as text; nothing is no text. */
export const plainText = (value: Json | undefined): string =>
  typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value);

const digestPattern = /^sha256:[0-9a-f]{64}$/;
export function artifactIn(value: Json | undefined): ArtifactReference | undefined {
  if (!isObject(value) || typeof value['artifact'] !== 'string' || !digestPattern.test(value['artifact']))
    return undefined;
  const { artifact, name, mediaType, size } = value;
  return {
    artifact: artifact,
    name: typeof name === 'string' ? name : 'document',
    mediaType: typeof mediaType === 'string' ? mediaType : 'application/octet-stream',
    size: typeof size === 'number' ? size : 0,
  };
}

/** All that a value refers to, each once; at most 20. */
export function artifactsIn(value: Json | undefined): readonly Json[] {
  const found = new Map<string, Json>();
  const look = (one: Json | undefined): void => {
    if (found.size >= 20 || typeof one !== 'object' || one === null) return;
    const artifact = artifactIn(one);
    if (artifact) found.set(artifact.artifact, one);
    else for (const inside of Object.values(one)) look(inside);
  };
  look(value);
  return [...found.values()];
}

export const artifactPath = ({ artifact, name }: ArtifactReference): string =>
  `/artifacts/${artifact.slice('sha256:'.length)}/${encodeURIComponent(name)}`;

/** A key of JSON as people say it: `testTimeoutSeconds` becomes "Test timeout seconds". */
export const keyWords = (key: string): string =>
  capital(
    key
      .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
      .replace(/[_-]+/g, ' ')
      .toLowerCase(),
  );

/** Any value in words where it has some; raw JSON is never the only view of an object. */
export function valueView(value: Json, depth = 0): Html {
  const artifact = artifactIn(value);
  if (artifact)
    return markup`<a href="${artifactPath(artifact)}">${foreign(artifact.name)}</a> <span class="quiet">${bytes(artifact.size)}</span> <span class="hash">${artifact.artifact.slice(7, 11)}…${artifact.artifact.slice(-4)}</span>`;
  if (value === null) return markup`<span class="quiet">nothing</span>`;
  if (typeof value === 'boolean') return markup`${value ? 'yes' : 'no'}`;
  if (typeof value === 'number') return markup`${value}`;
  if (value === '') return markup`<span class="quiet">nothing</span>`;
  if (typeof value === 'string')
    return isBlock(value) ? markup`<pre class="text">${foreign(value)}</pre>` : foreign(value);
  if (Array.isArray(value)) {
    const items = value as readonly Json[];
    if (items.length === 0) return markup`<span class="quiet">none</span>`;
    return markup`<ul>${items.slice(0, 200).map((item) => markup`<li>${valueView(item, depth + 1)}</li>`)}${items.length > 200 && markup`<li class="quiet">and ${items.length - 200} more</li>`}</ul>`;
  }
  if (depth > 3) return markup`<code>${foreign(JSON.stringify(value))}</code>`;
  const entries = Object.entries(value as JsonObject).map(([key, one]): readonly [string, Json] =>
    key === 'milliseconds' && typeof one === 'number' ? ['took', duration(one)] : [key, one],
  );
  if (entries.length === 0) return markup`<span class="quiet">nothing</span>`;
  // One line as long as everything in it is one.
  return depth === 0 || entries.some(([, one]) => isBlock(one))
    ? markup`<dl class="kv">${entries.map(([key, one]) => markup`<dt>${foreign(keyWords(key))}</dt><dd>${valueView(one, depth + 1)}</dd>`)}</dl>`
    : markup`${entries.map(([key, one], index) => markup`${index > 0 && ', '}<span class="quiet">${foreign(keyWords(key))}</span> ${valueView(one, depth + 1)}`)}`;
}

const isBlock = (value: Json): boolean =>
  typeof value === 'string'
    ? value.length > 400 || value.includes('\n')
    : typeof value === 'object' && value !== null && !artifactIn(value) && Object.keys(value).length > 0;
