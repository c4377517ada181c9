/** For polls of what other processes do: any may lose its turn for seconds, one of low priority for longer. */
export const PATIENT = { timeout: 30_000 };

/** For explanations, which a process of low priority makes that is started first. */
export const EXPLAINING = { timeoutMs: 100_000 };
