"""The plan: for one commit, the wanted bundle deployment of every cluster, with a reason for each.

request    `RenderRequest`, `GroupRequest`: what the renderer is asked for
entries    `Plan`, `PlanEntry`
"""
