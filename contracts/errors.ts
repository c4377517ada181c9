/**
 * Every error `type` that Perennial puts into an `ApplicationFailure`, with what it means and what to do.
 * `docs/errors.md` documents each of them (a test asserts it).
 */
export const ERROR_CODES = {
  SpecInvalid:
    'The pipeline spec does not parse. The message names the path, what was expected, and the nearest right word.',
  InputInvalid: 'An argument, signal, update or request body has the wrong shape.',
  SourceDenied: 'The spec names a file, host or program that the worker does not allow.',
  SourceNotFound: 'A data source does not exist or matches no file.',
  SourceUnreadable: 'A data source exists but cannot be parsed.',
  SourceUnavailable: 'A remote data source cannot be reached, or answers 429 or 5xx. Retried.',
  SecretMissing: 'A ${env:PERENNIAL_SECRET_…} reference is not set on the worker.',
  SqlInvalid: "The spec's SQL is not exactly one SELECT, or DuckDB refuses it.",
  ColumnMissing: 'A column that the spec names is not in the data.',
  ColumnInvalid: 'A column has a type or content that its role does not allow.',
  ValidationFailed: 'An expectation with severity "error" failed.',
  PersonalDataFound: 'Columns hold personal data that the spec does not declare.',
  AnonymityTooLow: 'Fewer rows than the minimum share a combination of quasi-identifiers.',
  CustomCheckFailed:
    'A custom check threw, hung, ran out of memory, or answered nonsense: it says nothing about the data.',
  SplitEmpty: 'A part of the split, or a fold, has no rows, or lacks classes.',
  FeatureInvalid: 'A feature cannot be fitted or expressed in ONNX.',
  TrainerFailed: 'A trainer program ended with an error. The message ends with its own words.',
  TrainerContract: 'A trainer program did not keep the process contract (output missing or malformed).',
  AllCandidatesFailed: 'No candidate produced a model.',
  ModelInvalid: 'A model file is not loadable ONNX or has the wrong inputs or outputs.',
  ArtifactMissing: 'A referenced artifact is not in the store.',
  ArtifactCorrupt: "An artifact's bytes do not match its digest.",
  ArtifactErased: 'A referenced artifact held a person who was erased, and nothing took its place.',
  ErasureBlocked: 'Lifecycle runs of a pipeline that holds the person are running.',
  StoreUnavailable: 'The artifact store cannot be reached, or answers 429 or 5xx. Retried.',
  StoreRejected: 'The artifact store refused a request: credentials, bucket or region.',
  KeyringInvalid: 'An encryption key that is needed cannot be had from the keyring.',
  TrackerUnavailable: 'The MLflow server cannot be reached, or answers 429 or 5xx. Retried.',
  TrackerRejected: 'The MLflow server refused a request.',
  FeaturesUnavailable: 'The online feature store cannot be asked, or does not hold the view. Retried.',
  ServerUnavailable: 'No live model server holds a lease, or one did not answer in time. Retried.',
  PrecheckFailed: 'The loaded model did not give the expected answers within the limits.',
  RolloutFailed: 'The endpoint could not apply its routes; the previous ones are in force again.',
  RolloutOver:
    'A roll-out asks for something after it ended: it was superseded, rolled back, or is not known to its endpoint.',
  ApprovalImpossible:
    'The spec asks for an approval that this worker cannot verify: it has no list of approvers.',
  CandidateStale: 'Another version came into production since the candidate was judged.',
  OutputDenied:
    'A batch is to write where the worker does not allow it, or the destination refuses the credentials.',
  OutputExists: 'What a batch is to write is there already.',
  OutputUnwritable: 'The destination of a batch cannot take its rows.',
  OutputUnavailable: 'The destination of a batch cannot be reached, or answers 429 or 5xx. Retried.',
  DeadlineExceeded: 'A batch did not end within its deadline.',
  StageFailed: 'A stage failed for a reason that has no code of its own.',
} as const;

/** The `type` of an `ApplicationFailure` raised by Perennial. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * An error with a code, for engines that know nothing of Temporal. Activities turn it into an
 * `ApplicationFailure` of the same `type`; the CLI and the model server print its message.
 *
 * @param code one of {@link ERROR_CODES}
 * @param message what is wrong, where, and the remedy
 * @param retryable whether trying again later can help (default `false`)
 */
export class PerennialError extends Error {
  override readonly name = 'PerennialError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly retryable: boolean = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
