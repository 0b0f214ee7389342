/** A connector whose dials the test answers, and wires whose far end the test is. Nothing leaves the process. */
import type {
  ConnectOptions,
  ConnectResult,
  Connector,
  Wire,
  WireEvents,
} from '../../src/proxy/wire/wire.ts'

/** One connection that was asked for and not answered yet. */
export class FakeDial {
  readonly options: ConnectOptions
  readonly #done: (result: ConnectResult) => void
  isGivenUp = false

  constructor(options: ConnectOptions, done: (result: ConnectResult) => void) {
    this.options = options
    this.#done = done
  }

  /** Undefined when nobody waits for it any more. */
  accept(): FakeWire | undefined {
    if (this.isGivenUp) return undefined
    const wire = new FakeWire()
    this.#done({ ok: true, wire })
    return wire
  }

  refuse(): void {
    if (!this.isGivenUp) {
      this.#done({ ok: false, reason: 'refused', message: 'connection refused' })
    }
  }

  giveUp(): void {
    this.isGivenUp = true
  }
}

export class FakeConnector implements Connector {
  readonly dials: FakeDial[] = []

  connect(options: ConnectOptions, done: (result: ConnectResult) => void): () => void {
    const dial = new FakeDial(options, done)
    this.dials.push(dial)
    return () => dial.giveUp()
  }

  /** The oldest dial that nobody has answered. */
  next(): FakeDial | undefined {
    return this.dials.shift()
  }
}

export class FakeWire implements Wire {
  readonly localAddress = '127.0.0.1'
  readonly localPort = 40_000
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 80
  readonly bufferedBytes = 0
  #events: WireEvents | undefined
  #written: Buffer[] = []
  isClosed = false

  listen(events: WireEvents): void {
    this.#events = events
  }

  write(data: Uint8Array | string): boolean {
    this.#written.push(Buffer.from(data as string, 'latin1'))
    return true
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#events?.onClose(undefined)
  }

  /** What was written since it was last asked. */
  take(): Buffer {
    const written = Buffer.concat(this.#written)
    this.#written = []
    return written
  }

  /** Bytes from the far end. */
  receive(data: Uint8Array | string): void {
    this.#events?.onData(typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data))
  }

  /** The far end is gone. */
  hangUp(): void {
    this.#events?.onEnd()
    this.destroy()
  }
}
