import { MongoError, MongoNetworkError, MongoServerSelectionError } from 'mongodb';
import { isRetryableError } from 'neo4j-driver';
import { failure } from '../../workflows/contracts/failures';

/** A store that is away is StoreUnavailable, so that callers know that trying again helps; the rest stays as it is. */
export function asStoreFailure(error: unknown): unknown {
  if (isAwayMongo(error)) return failure('StoreUnavailable', 'MongoDB does not answer; try again', { cause: error });
  if (error instanceof Error && isRetryableError(error)) {
    return failure('StoreUnavailable', 'Neo4j does not answer; try again', { cause: error });
  }
  return error;
}

const isAwayMongo = (error: unknown): error is MongoError =>
  error instanceof MongoNetworkError ||
  error instanceof MongoServerSelectionError ||
  (error instanceof MongoError && error.hasErrorLabel('RetryableWriteError'));

/** Runs one answer, with what the drivers throw made ours. */
export async function fromStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asStoreFailure(error);
  }
}
