"""The operations on identity pools: their shapes and handlers."""

from __future__ import annotations

from local_cognito import fields_identity as fields
from local_cognito.identity import credentials, pools
from local_cognito.table import Operation

IDENTITY_OPERATIONS: dict[str, Operation] = {
    "CreateIdentityPool": Operation(fields.CREATE_POOL, pools.create_identity_pool),
    "DescribeIdentityPool": Operation(fields.POOL_ONLY, pools.describe_identity_pool),
    "UpdateIdentityPool": Operation(fields.UPDATE_POOL, pools.update_identity_pool),
    "DeleteIdentityPool": Operation(fields.POOL_ONLY, pools.delete_identity_pool),
    "ListIdentityPools": Operation(fields.LIST_POOLS, pools.list_identity_pools),
    "SetIdentityPoolRoles": Operation(fields.SET_ROLES, pools.set_identity_pool_roles),
    "GetIdentityPoolRoles": Operation(fields.POOL_ONLY, pools.get_identity_pool_roles),
    "GetId": Operation(fields.GET_ID, credentials.get_id, signed=False),
    "GetCredentialsForIdentity": Operation(
        fields.GET_CREDENTIALS, credentials.get_credentials_for_identity, signed=False
    ),
    "TagResource": Operation(fields.TAG, pools.tag_resource),
    "UntagResource": Operation(fields.UNTAG, pools.untag_resource),
    "ListTagsForResource": Operation(fields.LIST_TAGS, pools.list_tags_for_resource),
}
