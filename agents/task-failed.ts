/** The work cannot be done; `type` is what the plan and people see. Anything else thrown is a bug of the agent. */
export class TaskFailed extends Error {
  constructor(
    readonly type: string,
    message: string,
    readonly retryable: boolean,
  ) {
    super(message);
  }
}

export const taskFailed = (type: string, message: string, { retryable = false } = {}): TaskFailed =>
  new TaskFailed(type, message, retryable);
