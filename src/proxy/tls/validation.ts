/** Joins the two halves of a CombinedCertificateValidationContext, by protobuf's rules of merging. */
import type { Validation } from './tls-plan.ts'
import type { TrustRules } from './trust.ts'

/** The second wins where a value can be only one; lists follow each other. */
export function mergeValidation(
  base: Validation | undefined,
  dynamic: Validation | undefined,
): Validation | undefined {
  if (base === undefined || dynamic === undefined) return dynamic ?? base
  const rules: TrustRules = {
    roots: dynamic.rules.roots ?? base.rules.roots,
    bundle: dynamic.rules.bundle ?? base.rules.bundle,
    sans: [...base.rules.sans, ...dynamic.rules.sans],
    hashes: new Set([...base.rules.hashes, ...dynamic.rules.hashes]),
    spkis: new Set([...base.rules.spkis, ...dynamic.rules.spkis]),
    allowExpired: base.rules.allowExpired || dynamic.rules.allowExpired,
    acceptsUntrusted: base.rules.acceptsUntrusted || dynamic.rules.acceptsUntrusted,
    depthMax: Math.min(base.rules.depthMax, dynamic.rules.depthMax),
  }
  return {
    rules,
    crlPems: dynamic.crlPems.length === 0 ? base.crlPems : dynamic.crlPems,
    caPem: dynamic.caPem === '' ? base.caPem : dynamic.caPem,
    path: dynamic.caPem === '' ? base.path : dynamic.path,
  }
}
