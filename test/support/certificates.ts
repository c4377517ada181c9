import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));

const certificate = z.object({ key: z.string(), cert: z.string() });
/** A certificate with its key, as PEM. */
export type Certificate = z.infer<typeof certificate>;

const certificates = z.object({
  authority: z.string(),
  valid: certificate,
  other: certificate,
  old: certificate,
});

/** `cryptography` comes with MLflow. */
const PROGRAM = `
import datetime, ipaddress, json
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
day = datetime.timedelta(days=1)
now = datetime.datetime.now(datetime.timezone.utc)
def name(text): return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
def make(who, issuer, issuer_key, names, ca, since, until):
    key = ec.generate_private_key(ec.SECP256R1())
    b = x509.CertificateBuilder().subject_name(name(who)).issuer_name(name(issuer)).public_key(key.public_key())
    b = b.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
    b = b.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
    if names: b = b.add_extension(x509.SubjectAlternativeName(names), False)
    return key, b.sign(issuer_key or key, hashes.SHA256())
def pem(pair):
    key, cert = pair
    return {'key': key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode(), 'cert': cert.public_bytes(s.Encoding.PEM).decode()}
ca = make('test authority', 'test authority', None, [], True, now - day, now + day)
here = [x509.IPAddress(ipaddress.ip_address('127.0.0.1')), x509.DNSName('localhost')]
def signed(names, since, until): return pem(make('server', 'test authority', ca[0], names, False, since, until))
print(json.dumps({
    'authority': pem(ca)['cert'],
    'valid': signed(here, now - day, now + day),
    'other': signed([x509.DNSName('example.org')], now - day, now + day),
    'old': signed(here, now - 3 * day, now - day),
}))
`;

/**
 * An authority of its own and certificates that it signed: `valid` for 127.0.0.1 and localhost, `other` for another
 * name, `old` for the same but out of date.
 */
export const makeCertificates = (): z.infer<typeof certificates> =>
  certificates.parse(JSON.parse(execFileSync(PYTHON, ['-c', PROGRAM], { encoding: 'utf8' })));
