/** Why a query failed that may be asked again at once: a signal came while the history was read for it, or it came into a workflow task. */
export const unbegunEvents = 'something new came to the workflow while this was asked; ask again';
