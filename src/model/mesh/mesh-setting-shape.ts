/** Settings of meshConfig with rules of their own: TLS, names of statistics, settings of services. */
import { wildcardHostName } from '../schema/host-format.ts'
import { entriesOf, reportRepeats } from '../schema/rule.ts'
import { bool, clip, list, object, oneOf, refine, text } from '../schema/shape.ts'
import type { Check, Problem, Reading, Shape } from '../schema/shape.ts'
import { itemPath } from '../schema/source-node.ts'
import type { ServiceSettings, TlsConfig } from './mesh-config.ts'

/** What may stand in `inboundClusterStatName` and `outboundClusterStatName`. */
export const statNamePatterns = [
  '%SERVICE%',
  '%SERVICE_FQDN%',
  '%SERVICE_PORT%',
  '%TARGET_PORT%',
  '%SERVICE_PORT_NAME%',
  '%SUBSET_NAME%',
] as const

/** Istio's: those that BoringSSL has and that are still to be used. */
const knownCipherSuites: readonly string[] = [
  ...['ECDHE-ECDSA', 'ECDHE-RSA'].flatMap((exchange) => [
    `${exchange}-AES128-GCM-SHA256`,
    `${exchange}-AES256-GCM-SHA384`,
    `${exchange}-CHACHA20-POLY1305`,
    `${exchange}-AES128-SHA`,
    `${exchange}-AES256-SHA`,
  ]),
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
]

const knownCurves: readonly string[] = ['P-256', 'P-384', 'P-521', 'X25519', 'X25519MLKEM768']

function tlsConfig(...rules: Parameters<typeof object<TlsConfig>>[1][]): Shape<TlsConfig> {
  return object<TlsConfig>(
    {
      minProtocolVersion: oneOf('TLS_AUTO', 'TLSV1_2', 'TLSV1_3'),
      cipherSuites: refine(list(text(checkCipherSuite)), warnOfRepeats('cipher suite')),
      ecdhCurves: refine(list(text(checkCurve)), warnOfRepeats('curve')),
    },
    ...rules,
  )
}

/** Between sidecars, whose version is 1.3 unless it is lowered. */
export function meshTls(): Shape<TlsConfig> {
  return tlsConfig((value, path, reading) => {
    if (value.ecdhCurves !== undefined) {
      reading.report(`${path}.ecdhCurves`, {
        message: 'curves cannot be chosen for TLS between sidecars',
        remedy: 'Remove ecdhCurves, or set it in tlsDefaults, which is for TLS with others.',
      })
    }
    if (value.cipherSuites === undefined || value.minProtocolVersion === 'TLSV1_2') return
    reading.report(`${path}.cipherSuites`, idleCipherSuites(value.minProtocolVersion))
  })
}

export function tlsDefaults(): Shape<TlsConfig> {
  return tlsConfig((value, path, reading) => {
    const { cipherSuites, minProtocolVersion } = value
    if (cipherSuites === undefined || minProtocolVersion !== 'TLSV1_3') return
    reading.report(`${path}.cipherSuites`, idleCipherSuites(minProtocolVersion))
  })
}

function idleCipherSuites(version: TlsConfig['minProtocolVersion']): Problem {
  return {
    code: 'IST0133',
    severity: 'warning',
    message: `cipherSuites are those of TLS 1.2, and minProtocolVersion is ${version ?? 'TLSV1_3 unless it is set'}`,
    remedy: 'Set minProtocolVersion: TLSV1_2, or remove cipherSuites.',
  }
}

const checkCipherSuite: Check<string> = (value) =>
  knownCipherSuites.includes(value)
    ? undefined
    : {
        message: `must be a cipher suite of TLS 1.2, got "${clip(value)}"`,
        remedy: `Use some of ${knownCipherSuites.join(', ')}.`,
      }

/** A warning, as in Istio; it is left out of what a proxy gets. */
const checkCurve: Check<string> = (value) =>
  isKnownCurve(value)
    ? undefined
    : {
        code: 'IST0133',
        severity: 'warning',
        message: `"${clip(value)}" is no curve that is known, and counts for nothing`,
        remedy: `Use some of ${knownCurves.join(', ')}.`,
      }

export function isKnownCurve(name: string): boolean {
  return knownCurves.includes(name)
}

function warnOfRepeats(what: string) {
  return (values: readonly string[], path: string, reading: Reading): void => {
    reportRepeats(
      values,
      (value) => value,
      (index, key) => {
        reading.report(itemPath(path, index), {
          code: 'IST0133',
          severity: 'warning',
          message: `${what} ${String(key)} is there twice`,
          remedy: 'Name it once.',
        })
      },
    )
  }
}

/** What Istio does not know it leaves as it is, which is never what was meant. */
export function statName(direction: 'inbound' | 'outbound'): Shape<string> {
  const unset: readonly string[] = direction === 'inbound' ? ['%SUBSET_NAME%'] : ['%TARGET_PORT%']
  const known: readonly string[] = statNamePatterns
  return refine(text(), (value, path, reading) => {
    for (const [pattern] of value.matchAll(/%[A-Z_]+%/g)) {
      if (!known.includes(pattern)) {
        reading.report(path, {
          code: 'IST0133',
          severity: 'warning',
          message: `${pattern} stands for nothing, and stays in the name as it is`,
          remedy: `Use some of ${statNamePatterns.join(', ')}.`,
        })
      } else if (unset.includes(pattern)) {
        const instead = direction === 'inbound' ? 'empty' : '0'
        reading.report(path, {
          code: 'IST0133',
          severity: 'warning',
          message: `${pattern} is always ${instead} in names of ${direction} clusters`,
          remedy: 'Leave it out.',
        })
      }
    }
  })
}

export function serviceSettings(): Shape<readonly ServiceSettings[]> {
  const shape = list(
    object<ServiceSettings>({
      settings: object<NonNullable<ServiceSettings['settings']>>({ clusterLocal: bool() }),
      hosts: list(text(wildcardHostName)),
    }),
  )
  return refine(shape, (entries, path, reading) => {
    const seen = new Map<string, string>()
    for (const [index, { hosts }] of entriesOf(entries)) {
      for (const [place, host] of entriesOf(hosts)) {
        const at = itemPath(`${itemPath(path, index)}.hosts`, place)
        const first = seen.get(host)
        if (first === undefined) seen.set(host, at)
        else {
          reading.report(at, {
            code: 'IST0133',
            severity: 'warning',
            message: `${host} has settings at ${first} already; the first counts`,
            remedy: 'Name each host once.',
          })
        }
      }
    }
  })
}
