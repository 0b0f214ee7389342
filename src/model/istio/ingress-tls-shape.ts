/** `tls` of a Sidecar's ingress listener: what Istio allows there of its server TLS settings. */
import { bool, list, object, oneOf, text } from '../schema/shape.ts'
import type { Reading, Shape } from '../schema/shape.ts'
import type { IngressTls } from './sidecar.ts'

const version = () => oneOf('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3')

export function ingressTls(): Shape<IngressTls> {
  return object<IngressTls>(
    {
      httpsRedirect: bool(),
      mode: oneOf(
        'PASSTHROUGH',
        'SIMPLE',
        'MUTUAL',
        'AUTO_PASSTHROUGH',
        'ISTIO_MUTUAL',
        'OPTIONAL_MUTUAL',
      ),
      serverCertificate: text(),
      privateKey: text(),
      caCertificates: text(),
      caCrl: text(),
      credentialName: text(),
      credentialNames: list(text()),
      caCertCredentialName: text(),
      tlsCertificates: list(
        object<{ serverCertificate?: string; privateKey?: string; caCertificates?: string }>({
          serverCertificate: text(),
          privateKey: text(),
          caCertificates: text(),
        }),
      ),
      subjectAltNames: list(text()),
      verifyCertificateSpki: list(text()),
      verifyCertificateHash: list(text()),
      minProtocolVersion: version(),
      maxProtocolVersion: version(),
      cipherSuites: list(text()),
    },
    checkSupported,
    checkFiles,
  )
}

function checkSupported(value: Partial<IngressTls>, path: string, reading: Reading): void {
  const isSet: Readonly<Record<string, boolean>> = {
    subjectAltNames: (value.subjectAltNames?.length ?? 0) > 0,
    httpsRedirect: value.httpsRedirect === true,
    credentialName: (value.credentialName ?? '') !== '',
    credentialNames: (value.credentialNames?.length ?? 0) > 0,
    tlsCertificates: (value.tlsCertificates?.length ?? 0) > 0,
  }
  for (const [name, is] of Object.entries(isSet)) {
    if (!is) continue
    reading.report(`${path}.${name}`, {
      message: `${name} is not supported in ingress tls`,
      remedy: `Remove ${name}; name files by serverCertificate and privateKey.`,
    })
  }
  if (value.mode !== 'ISTIO_MUTUAL' && value.mode !== 'AUTO_PASSTHROUGH') return
  reading.report(`${path}.mode`, {
    message: `cannot set mode to ${value.mode} in sidecar ingress tls`,
    remedy: 'Use SIMPLE or MUTUAL.',
  })
}

function checkFiles(value: Partial<IngressTls>, path: string, reading: Reading): void {
  const { mode } = value
  warnWithoutFiles(value, path, reading)
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return
  const needed = ['serverCertificate', 'privateKey'] as const
  const all = mode === 'SIMPLE' ? needed : [...needed, 'caCertificates' as const]
  for (const name of all) {
    if ((value[name] ?? '') !== '') continue
    reading.report(`${path}.${name}`, {
      message: `${mode} TLS requires ${name}`,
      remedy: 'Name the file.',
    })
  }
}

/** Modes that Istio lets pass without them. */
function warnWithoutFiles(value: Partial<IngressTls>, path: string, reading: Reading): void {
  const { mode = 'PASSTHROUGH', serverCertificate, privateKey } = value
  if (mode !== 'PASSTHROUGH' || (serverCertificate && privateKey)) return
  reading.report(path, {
    code: 'TUL0011',
    severity: 'warning',
    message:
      'without serverCertificate and privateKey there is nothing to serve: the port is closed',
    remedy: 'Set mode SIMPLE or MUTUAL, and name the files.',
  })
}
