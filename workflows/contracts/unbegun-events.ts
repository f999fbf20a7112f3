/** Why a query failed that may be asked again at once: a signal came while the history was read for it, or it came into a workflow task. */
export const unbegunEvents = 'a signal came while this query was being answered';
