/** WorkloadGroup, field by field; its probe is also the mesh file's. */
import { labels, port } from '../schema/field-shape.ts'
import { nonEmpty } from '../schema/format.ts'
import { plainHeaderName } from '../schema/http-format.ts'
import { annotationKey } from '../schema/name-format.ts'
import { exactlyOne } from '../schema/rule.ts'
import { int, int32Max, list, mapOf, object, oneOf, required, text } from '../schema/shape.ts'
import type { Shape } from '../schema/shape.ts'
import { workloadEntry } from './workload-entry-shape.ts'
import type {
  HttpGetProbe,
  ReadinessProbe,
  WorkloadGroupMetadata,
  WorkloadGroupSpec,
} from './workload-group.ts'

const seconds = (): Shape<number> => int({ min: 0, max: int32Max })

export interface ProbeOptions {
  /** In the mesh file the port of the application is meant when none is written. */
  readonly isPortOptional?: boolean
}

export function readinessProbe(options: ProbeOptions = {}): Shape<ReadinessProbe> {
  const probePort = options.isPortOptional === true ? port() : required(port())
  return object<ReadinessProbe>(
    {
      httpGet: httpGet(probePort),
      tcpSocket: object<NonNullable<ReadinessProbe['tcpSocket']>>({
        host: text(),
        port: probePort,
      }),
      exec: object<NonNullable<ReadinessProbe['exec']>>({
        command: required(list(text(nonEmpty), { itemsMin: 1 })),
      }),
      grpc: object<NonNullable<ReadinessProbe['grpc']>>({ port: port(), service: text() }),
      initialDelaySeconds: seconds(),
      timeoutSeconds: seconds(),
      periodSeconds: seconds(),
      successThreshold: seconds(),
      failureThreshold: seconds(),
    },
    exactlyOne<ReadinessProbe>('httpGet', 'tcpSocket', 'exec', 'grpc'),
  )
}

function httpGet(probePort: Shape<number>): Shape<HttpGetProbe> {
  return object<HttpGetProbe>({
    path: text(),
    port: probePort,
    host: text(),
    scheme: oneOf('', 'HTTP', 'HTTPS'),
    httpHeaders: list(
      object<NonNullable<HttpGetProbe['httpHeaders']>[number]>({
        name: required(text(plainHeaderName)),
        value: text(),
      }),
    ),
  })
}

export const workloadGroupShape: Shape<WorkloadGroupSpec> = object<WorkloadGroupSpec>({
  metadata: object<WorkloadGroupMetadata>({
    labels: labels(),
    annotations: mapOf(text(), annotationKey),
  }),
  template: required(workloadEntry()),
  probe: readinessProbe(),
})
