/** The operators of format strings that tell what TLS has proved, of the client (`DOWNSTREAM_…`) and the upstream. */
import { type Compiled, compiled } from '../config/compiled.ts'
import {
  printableName,
  type CertificateFacts,
  type ConnectionSecurity,
} from '../connection-security.ts'
import type { LogOperator, LogSource } from './log-source.ts'
import { compileTimeFormat } from './log-time.ts'

type SecurityOf = (source: LogSource) => ConnectionSecurity | undefined

const downstream: SecurityOf = (source) => source.downstreamSecurity
const upstream: SecurityOf = (source) => source.upstreamSecurity

/** Operators without an argument. */
export const tlsOperators: Readonly<Record<string, LogOperator>> = {
  ...operatorsOf('DOWNSTREAM', downstream),
  ...operatorsOf('UPSTREAM', upstream),
  // A request that is logged has come over a connection that did not fail.
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: () => undefined,
}

function operatorsOf(side: string, of: SecurityOf): Readonly<Record<string, LogOperator>> {
  return {
    [`${side}_TLS_VERSION`]: (source) => textOf(of(source)?.version),
    [`${side}_TLS_CIPHER`]: (source) => textOf(of(source)?.cipher),
    [`${side}_PEER_CERT`]: peer(of, ({ pem }) => encodeURIComponent(pem)),
    [`${side}_PEER_SERIAL`]: peer(of, ({ serial }) => serial),
    [`${side}_PEER_FINGERPRINT_256`]: peer(of, ({ fingerprint256 }) => fingerprint256),
    [`${side}_PEER_FINGERPRINT_1`]: peer(of, ({ fingerprint1 }) => fingerprint1),
    [`${side}_PEER_CHAIN_FINGERPRINTS_256`]: chain(of, (one) => one.fingerprint256),
    [`${side}_PEER_CHAIN_FINGERPRINTS_1`]: chain(of, (one) => one.fingerprint1),
    [`${side}_PEER_CHAIN_SERIALS`]: chain(of, (one) => one.serial),
    [`${side}_PEER_ISSUER`]: peer(of, ({ issuer }) => issuer),
    ...namesOf(`${side}_PEER`, (source) => of(source)?.peer),
    ...namesOf(`${side}_LOCAL`, (source) => of(source)?.local),
  }
}

function namesOf(
  prefix: string,
  of: (source: LogSource) => CertificateFacts | undefined,
): Readonly<Record<string, LogOperator>> {
  return {
    [`${prefix}_SUBJECT`]: (source) => textOf(of(source)?.subject),
    [`${prefix}_URI_SAN`]: (source) => namesText(of(source)?.uris),
    [`${prefix}_DNS_SAN`]: (source) => namesText(of(source)?.dns),
    [`${prefix}_IP_SAN`]: (source) => textOf(of(source)?.ips.join(',')),
  }
}

function namesText(names: readonly string[] | undefined): string | undefined {
  return textOf(names?.map(printableName).join(','))
}

function peer(of: SecurityOf, read: (facts: CertificateFacts) => string): LogOperator {
  return (source) => {
    const facts = of(source)?.peer
    return facts && textOf(read(facts))
  }
}

function chain(of: SecurityOf, read: (facts: CertificateFacts) => string): LogOperator {
  return (source) => textOf(of(source)?.peerChain.map(read).join(','))
}

/** `…_PEER_CERT_V_START(format)` and `…_V_END`; undefined for any other name. */
export function validityOperator(name: string, format: string): Compiled<LogOperator> | undefined {
  const match = /^(DOWNSTREAM|UPSTREAM)_PEER_CERT_V_(START|END)$/.exec(name)
  if (match === null) return undefined
  const time = compileTimeFormat(format)
  if (!time.ok) return time
  const of = match[1] === 'DOWNSTREAM' ? downstream : upstream
  const isStart = match[2] === 'START'
  const show = time.value
  return compiled((source) => {
    const facts = of(source)?.peer
    return facts && show(isStart ? facts.notBeforeMs : facts.notAfterMs)
  })
}

export const validityOperatorNames = ['DOWNSTREAM', 'UPSTREAM'].flatMap((side) => [
  `${side}_PEER_CERT_V_START`,
  `${side}_PEER_CERT_V_END`,
])

function textOf(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
