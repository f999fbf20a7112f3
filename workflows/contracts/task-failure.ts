export interface TaskFailure {
  /** `Timeout DeadlineExceeded AgentLost OutputInvalid ExpressionFailed Rejected Expired TooManyItems …` or the agent's own. */
  readonly type: string;
  readonly message: string;
}
