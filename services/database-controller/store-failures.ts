import {
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';
import { isRetryableError, Neo4jError } from 'neo4j-driver';
import { failure } from '../../workflows/contracts/failures';

/** A store that is away is StoreUnavailable, so that callers know that trying again helps; the rest stays as it is. */
export function asStoreFailure(error: unknown): unknown {
  if (isAwayMongo(error)) return failure('StoreUnavailable', 'MongoDB does not answer; try again', { cause: error });
  if (error instanceof Neo4jError && (isRetryableError(error) || error.code === notOfTheServer)) {
    return failure('StoreUnavailable', 'Neo4j does not answer; try again', { cause: error });
  }
  return error;
}

/** What Neo4j's driver says of itself: no connection could be had in time. */
const notOfTheServer = 'N/A';
/** InternalError: a server that cannot reach what it keeps its data in. */
const brokenServer = 1;

const isAwayMongo = (error: unknown): error is MongoError =>
  error instanceof MongoNetworkError ||
  error instanceof MongoServerSelectionError ||
  error instanceof MongoTopologyClosedError ||
  (error instanceof MongoServerError && error.code === brokenServer) ||
  (error instanceof MongoError && error.hasErrorLabel('RetryableWriteError'));

/** Gives the parts of one answer, with what the drivers throw made ours. */
export async function* partsFromStore<T>(parts: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* parts;
  } catch (error) {
    throw asStoreFailure(error);
  }
}

/** Runs one answer, with what the drivers throw made ours. */
export async function fromStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asStoreFailure(error);
  }
}
