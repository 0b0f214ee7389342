/** `--jwt-issuer issuer=URL,audience=NAME,jwks=FILE`: who else may say which workload somebody is. */
import { resolve } from 'node:path'

import type { ControlPlaneOptions } from '../control/control-plane.ts'
import { usageError } from './command.ts'

export type JwtIssuerFlag = NonNullable<
  NonNullable<ControlPlaneOptions['identity']>['jwtIssuers']
>[number]

const names = ['issuer', 'audience', 'jwks', 'namespace-claim', 'service-account-claim'] as const
/** Istio's own audience. */
const defaultAudience = 'istio-ca'

/** Rejections: MESH_USAGE. */
export function parseJwtIssuer(text: string, cwd: string): JwtIssuerFlag {
  const fields = readFields(text)
  const first = (name: (typeof names)[number]) => fields.get(name)?.[0]
  const issuer = first('issuer')
  if (issuer === undefined) throw usageError('--jwt-issuer: issuer=… is missing')
  const jwks = first('jwks')
  return {
    issuer,
    audiences: fields.get('audience') ?? [defaultAudience],
    jwks: jwks === undefined || /^https?:/.test(jwks) ? jwks : resolve(cwd, jwks),
    namespaceClaim: first('namespace-claim'),
    serviceAccountClaim: first('service-account-claim'),
  }
}

function readFields(text: string): ReadonlyMap<string, readonly string[]> {
  const fields = new Map<string, readonly string[]>()
  for (const part of text.split(',')) {
    const [name = '', ...rest] = part.split('=')
    const value = rest.join('=')
    if (!names.some((known) => known === name) || value === '') {
      throw usageError(`--jwt-issuer: ${JSON.stringify(part)}: expected ${names.join('=…, ')}=…`)
    }
    fields.set(name, [...(fields.get(name) ?? []), value])
  }
  return fields
}
