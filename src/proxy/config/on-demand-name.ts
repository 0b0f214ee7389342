/** Names of virtual hosts on demand, as Envoy makes them: `<route configuration>/<authority>`. */
import { lowerAscii } from '../../lib/lower-ascii.ts'

export function hostAlias(routes: string, authority: string): string {
  return `${routes}/${lowerAscii(authority)}`
}

/** The route configuration that a name belongs to: all before the last slash. */
export function routesOfHost(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')))
}
