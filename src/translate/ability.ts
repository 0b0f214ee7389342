/**
 * What a client can do, as far as the translation depends on it. It is part of the scope class.
 *
 * Real Envoy gets everything. Our own proxy refuses what it does not implement (proxy/config says what), and a
 * refused cluster is an outage; so where leaving a setting out only loses an optimization, it is left out for
 * our proxy and the model warns that the field has no effect yet. Where leaving it out would change what arrives
 * at the application (the HTTP version) or who can read it (TLS), it is sent, and refused by name.
 */
export type ClientKind = 'envoy' | 'tulle'

export interface Abilities {
  /** The network filter `istio.stats`: Envoy has no optional network filters, and refuses one it lacks. */
  readonly tcpStats: boolean
}

export function abilitiesOf(kind: ClientKind): Abilities {
  const isEnvoy = kind === 'envoy'
  return {
    tcpStats: !isEnvoy,
  }
}
