/** Names of gateways that a route belongs to: `mesh`, `name`, `namespace/name`, or the old `name.namespace.svc…`. */
import { isHostName, isIstioLabel } from '../schema/host-format.ts'
import { clip, list, text } from '../schema/shape.ts'
import type { Check, Shape } from '../schema/shape.ts'

/** The reserved name for every sidecar of the mesh. */
export const meshGateway = 'mesh'

export function gatewayNames(): Shape<readonly string[]> {
  return list(text(checkGatewayName))
}

const checkGatewayName: Check<string> = (name) => {
  if (name.includes('/')) return checkQualified(name)
  if (!isHostName(name)) return invalid(name)
  if (!name.includes('.')) return undefined
  const [gateway = '', namespace = ''] = name.split('.')
  return {
    code: 'IST0133',
    severity: 'warning',
    message: `"${clip(name)}" is the old form of a gateway's name`,
    remedy: `Write ${namespace}/${gateway}.`,
  }
}

function checkQualified(name: string): ReturnType<Check<string>> {
  const [namespace = '', gateway = '', ...rest] = name.split('/')
  return isIstioLabel(namespace) && isIstioLabel(gateway) && rest.length === 0
    ? undefined
    : invalid(name)
}

function invalid(name: string): ReturnType<Check<string>> {
  return {
    message: `must be mesh, the name of a Gateway, or namespace/name, got "${clip(name)}"`,
    remedy: 'Write mesh, my-gateway or my-namespace/my-gateway.',
  }
}

/** True when the routes are for gateways only: gateways are named and `mesh` is not among them. */
export function isForGatewaysOnly(gateways: readonly string[] | undefined): boolean {
  return gateways !== undefined && gateways.length > 0 && !gateways.includes(meshGateway)
}
