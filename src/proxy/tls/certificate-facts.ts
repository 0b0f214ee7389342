/**
 * Reads what logs, headers and admin pages say of a certificate. Each fact is worked out when it is first asked for,
 * because most connections ask for two of them.
 */
import type { X509Certificate } from 'node:crypto'

import type { CertificateFacts } from '../connection-security.ts'

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  return new LazyFacts(certificate)
}

class LazyFacts implements CertificateFacts {
  readonly #certificate: X509Certificate
  #names: AltNames | undefined
  #fingerprint256: string | undefined
  #subject: string | undefined

  constructor(certificate: X509Certificate) {
    this.#certificate = certificate
  }

  get fingerprint256(): string {
    this.#fingerprint256 ??= bareHex(this.#certificate.fingerprint256)
    return this.#fingerprint256
  }

  get fingerprint1(): string {
    return bareHex(this.#certificate.fingerprint)
  }

  get serial(): string {
    return this.#certificate.serialNumber.toLowerCase()
  }

  get subject(): string {
    this.#subject ??= rfc2253(this.#certificate.subject)
    return this.#subject
  }

  get issuer(): string {
    return rfc2253(this.#certificate.issuer)
  }

  get uris(): readonly string[] {
    return this.#altNames.uris
  }

  get dns(): readonly string[] {
    return this.#altNames.dns
  }

  get ips(): readonly string[] {
    return this.#altNames.ips
  }

  get notBeforeMs(): number {
    return Date.parse(this.#certificate.validFrom)
  }

  get notAfterMs(): number {
    return Date.parse(this.#certificate.validTo)
  }

  get pem(): string {
    return this.#certificate.toString()
  }

  get #altNames(): AltNames {
    this.#names ??= parseAltNames(this.#certificate.subjectAltName)
    return this.#names
  }
}

/** `AB:CD` → `abcd` */
export function bareHex(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase()
}

export interface AltNames {
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  readonly ips: readonly string[]
  readonly emails: readonly string[]
}

/** `TYPE:value` parts; a value with a comma, a quote or a control character is a JSON string (CVE-2021-44532). */
const altNamePattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y

/**
 * Node's text of the subject alternative names, taken apart. Text that does not follow the pattern to its end gives no
 * name at all: a name that is misread could be somebody else's.
 */
export function parseAltNames(text: string | undefined): AltNames {
  const names = {
    uris: [] as string[],
    dns: [] as string[],
    ips: [] as string[],
    emails: [] as string[],
  }
  if (text === undefined || text === '') return names
  const pattern = new RegExp(altNamePattern)
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (match === null) return { uris: [], dns: [], ips: [], emails: [] }
    const [, type = '', raw = ''] = match
    const value = raw.startsWith('"') ? (JSON.parse(raw) as string) : raw // quoted by JSON rules
    if (type === 'URI') names.uris.push(value)
    else if (type === 'DNS') names.dns.push(value)
    else if (type === 'IP Address') names.ips.push(value)
    else if (type === 'email') names.emails.push(value)
  }
  return names
}

/**
 * Node prints one part of a name a line, first part first, escaped by RFC 2253 but for letters beyond ASCII, which
 * Envoy escapes as bytes.
 */
function rfc2253(lines: string | undefined): string {
  if (lines === undefined || lines === '') return ''
  return lines.split('\n').reverse().map(escapeHigh).join(',')
}

const beyondAscii = /[^ -~]/u
const beyondAsciiAll = /[^ -~]/gu

function escapeHigh(part: string): string {
  if (!beyondAscii.test(part)) return part
  return part.replaceAll(beyondAsciiAll, (letter) =>
    Array.from(
      Buffer.from(letter),
      (octet) => `\\${octet.toString(16).toUpperCase().padStart(2, '0')}`,
    ).join(''),
  )
}
