/** `basic` and `digest` (OWS dsl-reference, "Basic Authentication", "Digest Authentication"). */
export interface PasswordCredentials {
  readonly username: string;
  readonly password: string;
}

/** OWS dsl-reference, "OAUTH2 Token". */
export interface OAuth2Token {
  readonly token: string;
  readonly type: string;
}

/** `oauth2` and `oidc` (OWS dsl-reference, "OAUTH2 Authentication"), as their schema leaves them. */
export interface OAuth2Policy {
  readonly authority: string;
  readonly endpoints?: { readonly token?: string };
  readonly grant: string;
  readonly client?: {
    readonly id?: string;
    readonly secret?: string;
    readonly assertion?: string;
    readonly authentication?: string;
  };
  readonly request?: { readonly encoding?: string };
  readonly issuers?: readonly string[];
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly subject?: OAuth2Token;
  readonly actor?: OAuth2Token;
}

/** Authentication of an endpoint as an activity gets it: one scheme, names and secrets resolved. */
export interface Authentication {
  readonly basic?: PasswordCredentials;
  readonly bearer?: { readonly token: string };
  readonly digest?: PasswordCredentials;
  readonly oauth2?: OAuth2Policy;
  readonly oidc?: OAuth2Policy;
}
