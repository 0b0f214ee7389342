/**
 * A connection inside the process on its way to its filter chain, where the listener has several: what comes out of a
 * CONNECT tunnel is looked at as bytes from a socket are (incoming-connection.ts). TLS is recognised and never ended here.
 */
import type { Timer } from '../../lib/clock.ts'
import {
  type Inspection,
  inspectBytes,
  inspectedBytesMax,
  uninspected,
} from '../tls/inspect-socket.ts'
import { ReplayWire } from '../wire/replay-wire.ts'
import type { Wire } from '../wire/wire.ts'
import { chooseChain } from './choose-chain.ts'
import type { IncomingOwner } from './incoming-connection.ts'
import type { ConnectionInspection } from './listener-config.ts'

const noBytes = Buffer.alloc(0)

export class IncomingInternal {
  place = -1
  isChosen = false
  readonly #wire: Wire
  readonly #owner: IncomingOwner
  #held: Buffer = noBytes
  #isEnded = false
  #isOver = false
  #timer: Timer | undefined

  constructor(wire: Wire, owner: IncomingOwner) {
    this.#wire = wire
    this.#owner = owner
  }

  start(inspection: ConnectionInspection): void {
    const { timeoutMs } = inspection
    if (timeoutMs !== 0) {
      const { clock } = this.#owner.runtime
      this.#timer = clock.setTimer(timeoutMs, () => this.#onSilence(inspection))
    }
    this.#wire.listen({
      onData: (chunk) => {
        this.#held = Buffer.concat([this.#held, chunk])
        const found = inspectBytes(this.#held, inspection.http)
        if (found === 'too-large' || found === 'bad-version') this.#end()
        else if (found !== 'more') this.#choose(found)
        else if (this.#held.length > inspectedBytesMax) this.#choose(uninspected)
      },
      // Nothing more will come: what is there is all that can be known.
      onEnd: () => {
        this.#isEnded = true
        if (this.#held.length === 0) this.#end()
        else this.#choose(uninspected)
      },
      onDrain: () => {},
      onClose: () => this.#end(),
    })
  }

  destroy(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#wire.destroy()
  }

  #onSilence({ continuesOnTimeout }: ConnectionInspection): void {
    this.#owner.config.stats?.preCxTimeout.add(1)
    if (continuesOnTimeout) this.#choose(uninspected)
    else this.#end()
  }

  #choose(seen: Inspection): void {
    if (this.#isOver) return
    const { config, runtime } = this.#owner
    const { localAddress, localPort, remoteAddress, remotePort } = this.#wire
    const facts = { ...seen, localAddress, localPort, remoteAddress, remotePort }
    const chain = chooseChain(config.chains, facts) ?? config.defaultChain
    if (chain === undefined) {
      config.stats?.noFilterChainMatch.add(1)
      this.#end()
      return
    }
    this.#isOver = true
    this.isChosen = true
    this.#owner.onChosen()
    this.#timer?.cancel()
    this.#wire.pause()
    const wire = new ReplayWire(this.#wire, {
      turn: runtime.turn,
      held: this.#held,
      isEnded: this.#isEnded,
      requestedServerName: seen.serverName,
    })
    this.#owner.onIncoming(this, { wire, chain })
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer?.cancel()
    this.#wire.destroy()
    this.#owner.onIncoming(this, undefined)
  }
}
