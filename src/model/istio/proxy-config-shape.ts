/** The resource ProxyConfig, field by field; the mesh file's `defaultConfig` is another (mesh/proxy-config-shape.ts). */
import { concurrency, proxyMetadata } from '../mesh/proxy-config-shape.ts'
import { labels } from '../schema/field-shape.ts'
import { object, text } from '../schema/shape.ts'
import type { Shape } from '../schema/shape.ts'
import type { ProxyConfigSpec } from './proxy-config.ts'

export const proxyConfigResourceShape: Shape<ProxyConfigSpec> = object<ProxyConfigSpec>({
  selector: object<NonNullable<ProxyConfigSpec['selector']>>({ matchLabels: labels() }),
  concurrency: concurrency(),
  environmentVariables: proxyMetadata(),
  image: object<NonNullable<ProxyConfigSpec['image']>>({ imageType: text() }),
})
