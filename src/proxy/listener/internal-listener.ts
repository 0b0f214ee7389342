/**
 * Listeners that are reached inside the process (Envoy `internal_listener`, addresses of the form
 * `envoy_internal_address.server_listener_name`): a name, and who takes the server's end of a wire.
 */
import type { FlushTurn } from '../wire/flush-turn.ts'
import { createInternalPair } from '../wire/internal-wire.ts'
import type { Wire } from '../wire/wire.ts'

/** Takes the accepting end; the listener sets its events before the call returns. */
export type InternalAccept = (wire: Wire) => void

export class InternalListeners {
  readonly #accepts = new Map<string, InternalAccept>()
  readonly #turn: FlushTurn

  constructor(turn: FlushTurn) {
    this.#turn = turn
  }

  /** A listener of the same name that is there already is replaced: an update of the config. */
  register(name: string, accept: InternalAccept): void {
    this.#accepts.set(name, accept)
  }

  /** Removes `name`, unless somebody else has replaced it meanwhile. */
  unregister(name: string, accept: InternalAccept): void {
    if (this.#accepts.get(name) === accept) this.#accepts.delete(name)
  }

  /** The connecting end of a new connection to `name`, or undefined when nobody listens. */
  open(name: string): Wire | undefined {
    const accept = this.#accepts.get(name)
    if (accept === undefined) return undefined
    const [near, far] = createInternalPair(name, this.#turn)
    accept(far)
    return near
  }
}
