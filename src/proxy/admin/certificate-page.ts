/** `/certs`: the certificates and authorities that TLS uses now, in Envoy's form. There are no keys in it. */
import type { Clock } from '../../lib/clock.ts'
import type { CertificateEntry, CertificateStatus } from '../config/data-plane.ts'
import { type AdminPage, adminPage, jsonReply } from './admin-page.ts'

const dayMs = 86_400_000

export interface CertificatePageSource {
  readonly clock: Clock
  certificates(): Promise<readonly CertificateStatus[]>
}

export function certificatePage(source: CertificatePageSource): AdminPage {
  return adminPage({
    path: '/certs',
    help: 'print certs on machine',
    async run() {
      const nowMs = source.clock.nowMs()
      const all = await source.certificates()
      return jsonReply({
        certificates: all.map(({ chain, authorities }) => ({
          ca_cert: authorities.map((one) => entryJson(one, nowMs)),
          cert_chain: chain.map((one) => entryJson(one, nowMs)),
        })),
      })
    },
  })
}

function entryJson(entry: CertificateEntry, nowMs: number): object {
  const names = [
    ...entry.uris.map((uri) => ({ uri })),
    ...entry.dns.map((dns) => ({ dns })),
    ...entry.ips.map((address) => ({ ip_address: address })),
  ]
  const days = Math.max(0, Math.floor((entry.notAfterMs - nowMs) / dayMs))
  return {
    path: entry.path,
    serial_number: entry.serial,
    subject_alt_names: names,
    // uint64 is text in protobuf's JSON.
    days_until_expiration: String(days),
    valid_from: isoSeconds(entry.notBeforeMs),
    expiration_time: isoSeconds(entry.notAfterMs),
  }
}

function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
