/** PeerAuthentication, field by field. */
import { labels } from '../schema/field-shape.ts'
import { portRange } from '../schema/host-format.ts'
import { clip, mapOf, object, oneOf } from '../schema/shape.ts'
import type { Check, Rule, Shape } from '../schema/shape.ts'
import type { MutualTls, PeerAuthenticationSpec } from './peer-authentication.ts'

const checkPortKey: Check<string> = (key) => {
  const number = Number(key)
  const isPort = /^[1-9]\d{0,4}$/.test(key) && number >= portRange.min && number <= portRange.max
  return isPort
    ? undefined
    : {
        message: `must be a port from ${portRange.min} to ${portRange.max}, got "${clip(key)}"`,
        remedy: 'Use the port on which the workload listens.',
      }
}

function mutualTls(): Shape<MutualTls> {
  return object<MutualTls>({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') })
}

/** A port is a workload's: without a selector nobody knows whose. */
const checkPortLevel: Rule<PeerAuthenticationSpec> = (value, path, reading) => {
  if (!reading.isPresent(`${path}.portLevelMtls`)) return
  const ports = value.portLevelMtls
  if (ports !== undefined && Object.keys(ports).length === 0) {
    reading.report(`${path}.portLevelMtls`, {
      message: 'must have at least one port',
      remedy: 'Add a port, or remove portLevelMtls.',
    })
  }
  if (Object.keys(value.selector?.matchLabels ?? {}).length > 0) return
  // A selector that is there and wrong has its own issue.
  if (reading.isPresent(`${path}.selector.matchLabels`) && value.selector === undefined) return
  reading.report(`${path}.portLevelMtls`, {
    message: 'portLevelMtls needs a selector with labels',
    remedy: 'Add selector.matchLabels, or use mtls.mode for all ports.',
  })
}

/** It means the same as no selector, and looks as if it did not. */
const checkSelector: Rule<PeerAuthenticationSpec> = (value, path, reading) => {
  const { selector } = value
  if (selector === undefined || Object.keys(selector.matchLabels ?? {}).length > 0) return
  if (reading.isPresent(`${path}.selector.matchLabels`) && selector.matchLabels === undefined)
    return
  reading.report(`${path}.selector`, {
    code: 'IST0133',
    severity: 'warning',
    message: 'a selector without labels selects every workload',
    remedy: 'Add matchLabels, or remove the selector.',
  })
}

export const peerAuthenticationShape: Shape<PeerAuthenticationSpec> =
  object<PeerAuthenticationSpec>(
    {
      selector: object<NonNullable<PeerAuthenticationSpec['selector']>>({ matchLabels: labels() }),
      mtls: mutualTls(),
      portLevelMtls: mapOf(mutualTls(), checkPortKey),
    },
    checkPortLevel,
    checkSelector,
  )
