/** A column of which each row has one of few values, as words and numbers. */
export interface CodedColumn {
  name: string;
  /** Of each code the condition that its rows fulfil, for example "region = north". */
  labels: string[];
  /** The code of each row, `[n]`; the number of labels where its value has no name: it is too rare to have one. */
  codes: Uint16Array;
  /** Values that have no name. */
  unnamed: number;
}
