/**
 * What is wrong with a TLS certificate that was not accepted, and the remedy: it stays so until somebody does something.
 *
 * @param error with its causes
 * @param who asked, such as `the worker`
 * @returns the end of a sentence about the certificate; `undefined` for another error
 * @see https://nodejs.org/api/tls.html#x509-certificate-error-codes
 * @example `the TLS certificate of ${host} ${certificateWords(error, 'the worker')}`
 */
export function certificateWords(error: unknown, who: string): string | undefined {
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 6;
    cause = cause.cause, depth++
  ) {
    const code = 'code' in cause ? String(cause.code) : '';
    const words =
      code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? 'is made out to another name; use a name that it holds'
        : code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID'
          ? `is out of date; have it renewed there, or set the clock of ${who}`
          : /^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|INVALID_)/.test(code)
            ? `is signed by nobody that ${who} trusts; start ${who} with NODE_EXTRA_CA_CERTS=FILE, a PEM file with the certificate of who signed it`
            : undefined;
    if (words !== undefined) return `${words} (${code})`;
  }
  return undefined;
}
