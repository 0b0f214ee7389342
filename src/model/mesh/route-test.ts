/** Spec of our `RouteTest` (tulle.dev/v1alpha1): requests, and where the routes beside them must lead. */

export interface RouteTestSpec {
  readonly tests: readonly RouteCase[]
}

export interface RouteCase {
  /** What it shows, for reports; without one, its method and URL. */
  readonly name?: string
  readonly given: RouteRequest
  readonly expect: RouteExpectation
}

export interface RouteRequest {
  /** A workload of the mesh file, or what the routes may ask about a client. Default: any client in this namespace. */
  readonly from?: string | RouteClient
  /** Default GET. */
  readonly method?: string
  /** `http://reviews:9080/path`, as the application writes it. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface RouteClient {
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
}

/** What is not named is not looked at. */
export interface RouteExpectation {
  /** The only destination, or with a share one of several. */
  readonly destination?: ExpectedDestination
  /** All destinations, in any order. */
  readonly destinations?: readonly ExpectedDestination[]
  /** What the destination is asked. */
  readonly rewrite?: ExpectedRewrite
  /** Of the answer that the sidecar gives itself: direct responses, redirects, and 404 or 503 where it cannot route. */
  readonly status?: number
  /** Of a direct response. */
  readonly body?: string
  readonly redirect?: ExpectedRedirect
  readonly requestHeaders?: ExpectedHeaders
  readonly responseHeaders?: ExpectedHeaders
  /** `0s`: none. */
  readonly timeout?: string
  readonly retries?: ExpectedRetries
  readonly fault?: ExpectedFault
  /** All copies, in any order; their shares are of the requests that are copied. */
  readonly mirrors?: readonly ExpectedDestination[]
  /** Name of the HTTP route that decides. */
  readonly route?: string
}

export interface ExpectedDestination {
  readonly host: string
  readonly subset?: string
  readonly port?: number
  /** Per cent. */
  readonly share?: number
}

export interface ExpectedRewrite {
  /** With its query. */
  readonly path?: string
  readonly authority?: string
}

export interface ExpectedRedirect {
  readonly location: string
  readonly status?: number
}

export interface ExpectedHeaders {
  readonly set?: Readonly<Record<string, string>>
  readonly removed?: readonly string[]
}

export interface ExpectedRetries {
  readonly attempts: number
  readonly perTryTimeout?: string
}

export interface ExpectedFault {
  readonly delay?: {
    /** `0s`: none. */
    readonly fixedDelay: string
    /** Per cent of the requests; default: not looked at. */
    readonly share?: number
  }
  readonly abort?: {
    readonly httpStatus?: number
    readonly grpcStatus?: string
    /** Per cent of the requests, 0 for none; default: not looked at. */
    readonly share?: number
  }
}
