/**
 * The secrets of one sidecar, as far as they may be seen: its certificate, and the roots that it believes. Private
 * keys are left out of the dump by the sidecar, and once more here.
 */
import { X509Certificate } from 'node:crypto'

import type { Cell, Table } from '../output.ts'
import { list, object, text, type DumpedSecret, type Json } from './config-dump.ts'

export interface SecretRow {
  readonly name: string
  readonly type: 'certificate' | 'root'
  /** `ACTIVE`, or `WARMING`: asked for and not there yet. */
  readonly status: string
  readonly valid: boolean
  readonly serial: string
  /** SPIFFE id of a certificate; trust domain of a root, when it is bound to one. */
  readonly identity: string
  readonly notBefore: string
  readonly notAfter: string
}

export function secretRows(secrets: readonly DumpedSecret[], nowMs: number): readonly SecretRow[] {
  return secrets.flatMap(({ status, secret }) => {
    const name = text(secret['name'])
    const row = (type: SecretRow['type'], pem: string, domain = '') =>
      readCertificates(pem).map((certificate) =>
        rowOf(certificate, { name, type, status, identity: domain, nowMs }),
      )
    const chain = row(
      'certificate',
      sourceText(object(secret['tls_certificate'])['certificate_chain']),
    )
    const roots = rootsOf(object(secret['validation_context'])).flatMap(([domain, pem]) =>
      row('root', pem, domain),
    )
    // Of a chain the first is the workload's own; the others stand below a root that is shown anyway.
    const rows = [...chain.slice(0, 1), ...roots]
    return rows.length > 0 ? rows : [emptyRow(name, status)]
  })
}

function rootsOf(context: Json): readonly (readonly [domain: string, pem: string])[] {
  const custom = object(object(context['custom_validator_config'])['typed_config'])
  const domains = list(custom['trust_domains']).map(
    (domain) => [text(domain['name']), sourceText(domain['trust_bundle'])] as const,
  )
  return [...domains, ['', sourceText(context['trusted_ca'])]]
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** What a sidecar has accepted can be read. */
function readCertificates(pem: string): readonly X509Certificate[] {
  return (pem.match(certificateBlock) ?? []).map((block) => new X509Certificate(block))
}

function sourceText(source: unknown): string {
  const { inline_bytes: bytes, inline_string: inline } = object(source)
  return typeof bytes === 'string' ? Buffer.from(bytes, 'base64').toString('utf8') : text(inline)
}

function rowOf(
  certificate: X509Certificate,
  seen: Pick<SecretRow, 'name' | 'type' | 'status' | 'identity'> & { readonly nowMs: number },
): SecretRow {
  const { nowMs, ...row } = seen
  const { validFromDate, validToDate, subjectAltName = '', serialNumber } = certificate
  const [, uri = ''] = /URI:([^,\s]+)/.exec(subjectAltName) ?? []
  return {
    ...row,
    identity: row.identity === '' ? uri : row.identity,
    valid: validFromDate.getTime() <= nowMs && nowMs < validToDate.getTime(),
    serial: serialNumber.toLowerCase(),
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
  }
}

function emptyRow(name: string, status: string): SecretRow {
  const nothing = { valid: false, serial: '', identity: '', notBefore: '', notAfter: '' }
  return { name, type: 'certificate', status, ...nothing }
}

export function secretTable(rows: readonly SecretRow[], nowMs: number): Table {
  return {
    columns: ['NAME', 'TYPE', 'STATUS', 'VALID', 'SERIAL', 'IDENTITY', 'NOT AFTER', 'LEFT'],
    rows: rows.map((row) => [
      row.name,
      row.type,
      row.status,
      validCell(row),
      row.serial || '-',
      row.identity || '-',
      row.notAfter || '-',
      row.notAfter === '' ? '-' : leftText(Date.parse(row.notAfter) - nowMs),
    ]),
    empty: 'no secrets: the sidecar speaks no mTLS',
  }
}

function validCell({ valid }: SecretRow): Cell {
  return valid ? 'yes' : { text: 'no', colour: 'red' }
}

/** `23.9h`, `364d`, `12s`; `expired` when none is. */
export function leftText(leftMs: number): string {
  if (leftMs <= 0) return 'expired'
  if (leftMs < 120_000) return `${Math.floor(leftMs / 1_000)}s`
  if (leftMs < 7_200_000) return `${Math.floor(leftMs / 60_000)}m`
  if (leftMs < 3 * 86_400_000) return `${(leftMs / 3_600_000).toFixed(1)}h`
  return `${Math.floor(leftMs / 86_400_000)}d`
}
