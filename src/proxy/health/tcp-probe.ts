/**
 * A health check by TCP (Envoy's TcpHealthCheckerImpl): a connection is enough, or, where bytes are expected, the answer
 * must hold them in their order. What came before stays and is looked at again, because a wrong answer cannot be told
 * from one that is not whole yet; the check's time ends that.
 */
import { encodeProxyHeader } from '../wire/proxy-protocol.ts'
import type { Wire } from '../wire/wire.ts'
import type { TcpProbeSettings } from './health-settings.ts'
import { matchesPayload } from './payload-match.ts'
import {
  type Probe,
  type ProbeOutcome,
  type ProbeScope,
  type ProbeTarget,
  checkConnectOptions,
} from './probe.ts'

const pass: ProbeOutcome = { kind: 'pass', isDegraded: false }
const network: ProbeOutcome = { kind: 'network' }
/** Of an answer that does not match; the newest are kept. */
const answerBytesMax = 1_048_576

export class TcpProbe implements Probe {
  readonly #settings: TcpProbeSettings
  readonly #target: ProbeTarget
  readonly #scope: ProbeScope
  #wire: Wire | undefined
  #cancelConnect: (() => void) | undefined
  #done: ((outcome: ProbeOutcome) => void) | undefined
  #answer: Buffer = Buffer.alloc(0)

  constructor(settings: TcpProbeSettings, target: ProbeTarget, scope: ProbeScope) {
    this.#settings = settings
    this.#target = target
    this.#scope = scope
  }

  check(done: (outcome: ProbeOutcome) => void): void {
    this.#done = done
    if (this.#wire === undefined) this.#connect()
    else this.#send(this.#wire)
  }

  giveUp(): void {
    this.#done = undefined
    this.close()
  }

  close(): void {
    this.#cancelConnect?.()
    this.#cancelConnect = undefined
    const wire = this.#wire
    this.#wire = undefined
    wire?.destroy()
  }

  #connect(): void {
    const options = checkConnectOptions(this.#target, 'tcp')
    this.#cancelConnect = this.#scope.connector.connect(options, (result) => {
      this.#cancelConnect = undefined
      if (result.ok && this.#done === undefined) result.wire.destroy()
      else if (result.ok) this.#onConnect(result.wire)
      else this.#finish(network)
    })
  }

  #onConnect(wire: Wire): void {
    this.#wire = wire
    this.#answer = Buffer.alloc(0)
    wire.listen({
      onData: (chunk) => this.#onData(wire, chunk),
      onEnd: () => this.#onGone(wire),
      onDrain: () => {},
      onClose: () => this.#onGone(wire),
    })
    if (this.#settings.receive.length > 0) {
      this.#send(wire)
      return
    }
    this.close()
    this.#finish(pass)
  }

  #send(wire: Wire): void {
    const { send, proxyHeader } = this.#settings
    // Version 2 says that the proxy speaks for itself; version 1 has no word for that, so it names both ends.
    if (proxyHeader !== undefined) {
      wire.write(encodeProxyHeader(proxyHeader, proxyHeader === 1 ? endsOf(wire) : undefined))
    }
    if (send !== undefined) wire.write(send)
  }

  #onData(wire: Wire, chunk: Uint8Array): void {
    if (this.#wire !== wire) return
    this.#answer = Buffer.concat([this.#answer, chunk]).subarray(-answerBytesMax)
    if (!matchesPayload(this.#settings.receive, this.#answer)) return
    this.#answer = Buffer.alloc(0)
    if (this.#done === undefined) return
    if (!this.#target.reusesConnection) this.close()
    this.#finish(pass)
  }

  #onGone(wire: Wire): void {
    if (this.#wire !== wire) return
    this.#wire = undefined
    wire.destroy()
    // Between checks too: Envoy counts it as a failure of the network.
    if (this.#done !== undefined) this.#finish(network)
    else this.#target.onLost()
  }

  #finish(outcome: ProbeOutcome): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }
}

function endsOf(wire: Wire) {
  const { localAddress, localPort, remoteAddress, remotePort } = wire
  return {
    remoteAddress: localAddress,
    remotePort: localPort,
    localAddress: remoteAddress,
    localPort: remotePort,
  }
}
