import type { Dispatcher } from 'undici';

/** A dispatcher for one request that knows whether the request has begun to go out. */
export interface WatchedSending {
  readonly dispatcher: Dispatcher;
  /** False as long as nothing of the request can have reached a server. */
  hasStarted(): boolean;
}

/**
 * Watches one request. undici starts a request (`onRequestStart`) when it has a connection and is about to write to it;
 * any failure before that happened while the name was resolved, the socket connected or TLS set up.
 */
export function watchSending(dispatcher: Dispatcher, onSending?: () => void): WatchedSending {
  let started = false;
  const onStart = () => {
    // It may refuse; then nothing has been sent.
    onSending?.();
    started = true;
  };
  return {
    dispatcher: dispatcher.compose((dispatch) => (options, handler) => dispatch(options, withStart(handler, onStart))),
    hasStarted: () => started,
  };
}

/** The same handler, all calls passed on, the start reported before. */
function withStart(handler: Dispatcher.DispatchHandler, onStart: () => void): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      onStart();
      handler.onRequestStart?.(controller, context);
    },
    onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => handler.onResponseStart?.(...args),
    onResponseData: (...args) => handler.onResponseData?.(...args),
    onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
    onResponseError: (...args) => handler.onResponseError?.(...args),
  };
}
