/** Cases in which Tulle is not like Envoy yet, and what is missing. An entry that passes is to be removed. */
export const notYet: Readonly<Record<string, string>> = {
  'an unknown cluster named by a header':
    'response headers of the virtual host and the table are not added to this local reply',
  'no header to name the cluster':
    'response headers of the virtual host and the table are not added to this local reply',
  'an unknown cluster':
    'response headers of the virtual host and the table are not added to this local reply; the log names the cluster that does not exist',
  'an unknown cluster answered 404':
    'response headers of the virtual host and the table are not added to this local reply',
  'a cluster without endpoints':
    'response headers of the virtual host and the table are not added to this local reply; the log counts no attempt',
  'a cluster whose endpoints are all unhealthy':
    'response headers of the virtual host and the table are not added to this local reply',
  'a cluster at its request limit':
    'response headers of the virtual host and the table are not added to this local reply',
  'an upstream that closes without an answer':
    'response headers of the virtual host and the table are not added to this local reply',
  'an upstream that resets':
    'response headers of the virtual host and the table are not added to this local reply',
  'an upstream that speaks no HTTP':
    'response headers of the virtual host and the table are not added to this local reply',
  'an upstream with a length and chunks':
    'response headers of the virtual host and the table are not added to this local reply',
  'a route time-out':
    'response headers of the virtual host and the table are not added to this local reply',
  'a bad chunk size':
    'response headers of the virtual host and the table are not added to this local reply',
  'a refused connection':
    'response headers of the virtual host and the table are not added to this local reply; details lack the transport failure reason',
  'a host rewritten': 'x-envoy-original-host is not sent',
  'a host rewritten from a header': 'x-envoy-original-host is not sent',
  'a host rewritten and remembered': 'x-envoy-original-host is not sent',
  'a host rewritten to the endpoint’s name': 'x-envoy-original-host is not sent',
  'a path with a fragment':
    'a fragment is a codec error, not path_normalization_failed with an empty body',
  'a direct response with a body sent to it':
    'the connection should close when the reply comes before the request’s body',
  'an upstream with a huge header': 'the reply should be that of a protocol error, with its body',
  'an upstream that ends in the middle of a body':
    'details should be upstream_reset_after_response_started{protocol_error}, flag UPE',
  'an idle time-out':
    'response headers of the virtual host and the table are not added to this local reply; an upstream that is idle closes nothing downstream',
  'a time-out of every try':
    'local replies lack x-envoy-attempt-count; the order of flags is URX,UT',
  'a refused connection retried':
    'local replies lack x-envoy-attempt-count; the body should say that it was retried; the order of flags is URX,UF',
  'a reset retried':
    'local replies lack x-envoy-attempt-count; the body should say that it was retried; the order of flags is URX,UC',
  OPTIONS: 'Envoy sends content-length: 0 upstream for a method that may have a body',
  'a method of another protocol':
    'Envoy sends content-length: 0 upstream for a method that may have a body',
  'an expectation of 100': 'expect: 100-continue is answered here and must not go upstream',
  'hop-by-hop headers': 'proxy-connection: close should close the connection',
  'HTTP/1.0 where it is not accepted': 'the body should be "Upgrade Required"',
  'an upgrade that is allowed and refused upstream':
    'a 200 to an upgrade should be refused: websocket_handshake_unsuccessful',
  'an upgrade that is not allowed':
    'response headers of the virtual host and the table are not added to this local reply; the log should name the cluster of the route',
  'no host': 'details should be missing_host_header, with an empty body',
  'an unknown transfer coding': 'the body should be "Not Implemented"',
  'a huge header': 'the body should be "Request Header Fields Too Large"',
  'too many headers': 'the body should be "Request Header Fields Too Large"',
  'more headers than the edge takes': 'the body should be "Request Header Fields Too Large"',
  'a longer head than the edge takes': 'the body should be "Request Header Fields Too Large"',
  'headers of an edge': 'x-envoy-external-address is not sent for an external client',
  'a port is stripped': 'x-envoy-external-address is not sent for an external client',
  'a trailing dot is stripped': 'x-envoy-external-address is not sent for an external client',
  'HTTP/1.0 with a default host': 'x-envoy-external-address is not sent for an external client',
  'HTTP/1.0 that stays open': 'x-envoy-external-address is not sent for an external client',
  'what a client may not say at an edge':
    'x-envoy-external-address is not sent, and x-forwarded-client-cert of the client is passed on',
  'dots in a path are resolved': 'the log should hold the normalized path',
  'slashes in a path are merged': 'the log should hold the normalized path',
  'escaped slashes redirect': 'the log should hold the normalized path',
  'an escaped dot is resolved': 'the log should hold the normalized path',
  'a path above the root': 'dots above the root should be dropped (RFC 3986 §5.2.4), not refused',
  'an escaped slash is refused': 'the body should be empty, and the flag -',
}
