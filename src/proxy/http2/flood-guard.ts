/**
 * Ceilings on what a peer may make us do for nothing, with Envoy's numbers and names (`ProtocolConstraints`): frames
 * that carry nothing, priorities, window updates, and answers that it asks for and does not read.
 *
 * CVE-2019-9511 to 9518: PING and SETTINGS floods fill the queue of acknowledgements (`outbound_control_flood`),
 * empty frames cost time and no bytes (`inbound_empty_frames_flood`).
 */
import type { Http2Stats } from '../telemetry/cluster-stats.ts'
import { frameFlags, frameTypes } from './frame.ts'
import type { Http2Options } from './settings.ts'

export type Flood =
  | 'inbound_empty_frames_flood'
  | 'inbound_priority_frames_flood'
  | 'inbound_window_update_frames_flood'
  | 'outbound_flood'
  | 'outbound_control_flood'

const frameHeadBytes = 9

export class FloodGuard {
  readonly #options: Http2Options
  readonly #stats: Http2Stats
  #emptyFrames = 0
  #priorityFrames = 0
  #windowUpdates = 0
  #streams = 0
  #dataFramesSent = 0
  /** Frames that the peer may not have taken yet; never fewer than there are. */
  #outbound = 0
  #outboundControl = 0
  /** What one read makes us say counts together, though the kernel may take it meanwhile. */
  isReading = false
  #isFlooded = false

  constructor(options: Http2Options, stats: Http2Stats) {
    this.#options = options
    this.#stats = stats
  }

  onStream(): void {
    this.#streams += 1
  }

  onDataFrameSent(): void {
    this.#dataFramesSent += 1
  }

  /** Of a frame that came; padding is no payload. */
  checkInbound(type: number, flags: number, isEmpty: boolean): Flood | undefined {
    switch (type) {
      case frameTypes.data:
      case frameTypes.headers:
      case frameTypes.continuation:
        return this.#checkEmpty(type, flags, isEmpty)
      case frameTypes.priority:
        this.#priorityFrames += 1
        return this.#checkPriorities()
      case frameTypes.windowUpdate:
        this.#windowUpdates += 1
        return this.#checkWindowUpdates()
      default:
        return undefined
    }
  }

  /**
   * Of what was written, `bytes` wait: a frame has nine at least. A connection that is busy all the time, TLS above all,
   * may never be seen with nothing waiting.
   */
  onWaiting(bytes: number): void {
    if (this.isReading) return
    const most = Math.ceil(bytes / frameHeadBytes)
    if (this.#outbound > most) this.#outbound = most
    if (this.#outboundControl > most) this.#outboundControl = most
  }

  /** Of a frame that leaves. */
  checkOutbound(isControl: boolean): Flood | undefined {
    if (this.#isFlooded) return undefined
    this.#outbound += 1
    if (isControl) this.#outboundControl += 1
    const { outboundFramesMax, outboundControlFramesMax } = this.#options
    this.#isFlooded = this.#outbound > outboundFramesMax
    if (this.#isFlooded) {
      this.#stats.outboundFlood.add(1)
      return 'outbound_flood'
    }
    this.#isFlooded = this.#outboundControl > outboundControlFramesMax
    if (!this.#isFlooded) return undefined
    this.#stats.outboundControlFlood.add(1)
    return 'outbound_control_flood'
  }

  #checkEmpty(type: number, flags: number, isEmpty: boolean): Flood | undefined {
    const ends = type !== frameTypes.continuation && (flags & frameFlags.endStream) !== 0
    if (!isEmpty || ends) {
      this.#emptyFrames = 0
      return undefined
    }
    this.#emptyFrames += 1
    if (this.#emptyFrames <= this.#options.emptyFramesMax) return undefined
    this.#stats.inboundEmptyFramesFlood.add(1)
    return 'inbound_empty_frames_flood'
  }

  #checkPriorities(): Flood | undefined {
    const most = this.#options.priorityFramesPerStreamMax * (1 + this.#streams)
    if (this.#priorityFrames <= most) return undefined
    this.#stats.inboundPriorityFramesFlood.add(1)
    return 'inbound_priority_frames_flood'
  }

  #checkWindowUpdates(): Flood | undefined {
    const { windowUpdatesPerDataFrameMax: perFrame } = this.#options
    const most = 5 + 2 * (this.#streams + perFrame * this.#dataFramesSent)
    if (this.#windowUpdates <= most) return undefined
    this.#stats.inboundWindowUpdateFramesFlood.add(1)
    return 'inbound_window_update_frames_flood'
  }
}
